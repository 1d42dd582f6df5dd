"""Tasks for the runner's tests, in a module that workers import by name; they count what they do in files."""

import asyncio
import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext, TaskRunContext
from prefect.events import emit_event
from prefect.transactions import Transaction, transaction

from anabranch.run.stopping import stop_requested

LIMIT = "runner-test"  # a global concurrency limit of one


def note(folder: str, name: str) -> int:
    """Count one more execution of `name`; return how many there were."""
    with (Path(folder) / name).open("a") as file:
        file.write("x")
        return file.tell()


def noted(folder: str, name: str) -> int:
    """Return how often `name` was executed."""
    path = Path(folder) / name
    return path.stat().st_size if path.exists() else 0


@task(task_run_name="log {number}")
def logged(number: int) -> int:
    get_run_logger().info("logged %s", number)
    return number


@task
def fail_if_odd(number: int) -> int:
    if number % 2:
        raise ValueError(f"odd {number}")
    return number


def only_key_errors(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), KeyError)


@task(retries=3, retry_delay_seconds=[0.1, 0.1, 0.1], retry_jitter_factor=0.5, retry_condition_fn=only_key_errors)
def third_time_lucky(number: int, folder: str) -> int:
    attempt = note(folder, f"lucky-{number}")
    if attempt < 3:
        raise KeyError("again")
    return attempt


@task(retries=3, retry_condition_fn=only_key_errors)
def hopeless(folder: str) -> None:
    note(folder, "hopeless")
    raise RuntimeError("not worth a retry")


@task(cache_policy=INPUTS + TASK_SOURCE, cache_expiration=timedelta(hours=1), persist_result=True)
def cached(number: int, folder: str) -> int:
    note(folder, "cached")
    return number * 10


@task
def write(path: str) -> None:
    Path(path).write_text("half")


@write.on_rollback
def remove(txn: Transaction) -> None:
    Path(txn.get("path")).unlink()


@task
def fail_after_write(path: str) -> None:
    with transaction() as txn:
        txn.set("path", path)
        write(path)
        assert Path(path).exists()
        raise RuntimeError("after the write")


@task(timeout_seconds=0.5)
def too_slow() -> None:
    for _ in range(300):
        time.sleep(0.1)


@task
def add(left: int, right: int) -> int:
    return left + right


@task
def total(numbers: list[Any]) -> int:
    return sum(number for number in numbers if not isinstance(number, Exception))


@task
def publish(number: int) -> int:
    create_markdown_artifact(key=f"part-{number}", markdown=f"# {number}")
    emit_event("anabranch.part.done", resource={"prefect.resource.id": f"part.{number}"})
    return number


@task
def one_at_a_time() -> tuple[float, float]:
    with concurrency(LIMIT, occupy=1):
        start = time.time()
        time.sleep(0.1)
        return start, time.time()


@task
def child(number: int) -> int:
    return number + 100


@task
def parent(number: int) -> int:
    return child(number)


@flow
def subflow(number: int) -> int:
    return child(number)


@task
def call_subflow(number: int) -> int:
    return subflow(number)


@task
async def double_later(number: int) -> int:
    await asyncio.sleep(0.01)
    return number * 2


@task
def introduce() -> dict[str, Any]:
    task_run, flow_run = TaskRunContext.get().task_run, FlowRunContext.get().flow_run
    return {"task_run": str(task_run.id), "tags": sorted(task_run.tags), "flow_run": str(flow_run.id)}


@task
def count_call(name: str, folder: str) -> str:
    note(folder, name)
    return name


@task
def kill_worker(folder: str, times: int) -> int:
    """Kill the own worker process, until that was done `times` times."""
    if note(folder, "kill") <= times:
        os.kill(os.getpid(), 9)
    return os.getpid()


@task
def leave_python() -> None:
    raise SystemExit(3)


class OnlyHere(Exception):  # noqa: N818
    """An error that no other process can unpickle."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


@task
def raise_only_here() -> None:
    raise OnlyHere("left", "right")


def _refuse() -> None:
    raise OnlyHere("cannot be ", "loaded")


class Unloadable:
    """A parameter that pickles, but does not unpickle."""

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return _refuse, ()


@task
def wait_for_file(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.02)


@task
def take(value: Any) -> Any:
    return value


@task
def return_unpicklable() -> Any:
    return threading.Lock()


@task
def work_until_stopped(folder: str, name: str, seconds: float) -> bool:
    """Ask between short items whether to stop; note how the part ended."""
    note(folder, f"begun-{name}")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if stop_requested():
            note(folder, f"stopped-{name}")
            return False
        time.sleep(0.001)
    return True
