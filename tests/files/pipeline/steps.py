"""Functions that the tests name, or hand over: what a user's own module would hold."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pyarrow.compute as pc

import anabranch

calls: list[int] = []  # of `prepare`, in this process


def same(record):
    return record


def fail_last(record):
    if record["id"] == -1:
        raise ValueError("the last")
    return record


def score(record):
    return {**record, "score": record["id"] * 3}


def kind_of(record):
    return {"kind": type(record["id"]).__name__}


def only_even(record):
    return None if record["id"] % 2 else {"id": record["id"]}


def fail_sevenths(record):
    if record["id"] % 7 == 3:
        raise ValueError(f"no {record['id']}")
    return record


def mutate_then_fail(record):
    record["name"] = "spoilt"
    raise ValueError("too late")


def count(record, state):
    state["seen"] = [*state.get("seen", []), record["id"]]
    return record


def count_and_rest(record, state):
    time.sleep(0.001)
    return count(record, state)


def rest(record):
    time.sleep(0.001)
    return record


def stop_once(record):
    """Stop this process for a while, as a machine does that has other work: no call waits for it."""
    if record["id"] == 100:
        subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.SIGSTOP)
    return record


def append(one, other):
    return {"seen": [*one.get("seen", []), *other.get("seen", [])]}


def prepare():
    calls.append(1)
    return {"factor": 10}


def scaled(record, state):
    return {"id": record["id"] * state["factor"]}


def thread(record):
    """Return the thread that calls."""
    return {**record, "thread": threading.get_ident()}


def widening(record):
    """Return an integer at first, later a number that is none."""
    return {"id": record["id"], "value": record["id"] if record["id"] < 500 else record["id"] + 0.5, "name": None}


def clashing(record):
    return {"value": record["id"] if record["id"] < 500 else f"text {record['id']}"}


def big(table):
    return table.filter(pc.greater(table["id"], 995))


def doubled(frame):
    frame["id"] = frame["id"] * 2
    return frame


def refuse(_table):
    raise ValueError("no table")


def not_a_record(record):
    return [record["id"]]


def nap(record):
    time.sleep(0.002)
    return record


def die_once(record):
    """End the process that gets record 150, the first time."""
    return _die(record, once=True)


def die_always(record):
    return _die(record, once=False)


def _die(record, *, once):
    if record["id"] == 150:
        mark = Path(record.get("mark") or os.environ["DIED"])
        if not (once and mark.exists()):
            mark.touch()
            os._exit(1)
    return record


def noted(record):
    """Note every call in a file: to see that no record comes twice."""
    with Path(os.environ["NOTED"]).open("a") as file:
        file.write(f"{record['id']}\n")
    return record


def finish(stats, state):
    Path(os.environ["NOTED"]).write_text(f"{stats['rec_count']} {stats['nulls']} {len(state.get('seen', []))}")


def running_total(record, state):
    """Return the same dictionary each time."""
    state["row"]["total"] = state["row"].get("total", 0) + record["id"]
    return state["row"]


def pipeline_of(record):
    result = anabranch.pipeline(record["path"], f"{record['path']}.out.jsonl", same, parallel=True)
    return {"records": result.rec_count}


def doze(record):
    """Note the process, and take a while."""
    with Path(os.environ["NOTED"]).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.15)
    return record


def locked(record):
    return {**record, "lock": threading.Lock()}


def raise_anything(*_):
    raise RuntimeError("no way")


def surroundings(_record):
    return {"folder": Path.cwd().name, "noted": os.environ["NOTED"], "pid": os.getpid()}
