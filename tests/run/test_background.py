import json
import os
import signal
import subprocess
import threading
from dataclasses import asdict, replace

import pytest

from anabranch.core.errors import TemporaryError, UsageError
from anabranch.run import background
from anabranch.run.background import Program, alive, last_line, launch, locked, patiently, running, stop

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
WITH_CHILD = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid); {SLEEP}"


def becomes(condition):
    """Whether the condition comes true within half a minute."""
    return any(condition() for _ in patiently(30))


@pytest.fixture
def start(tmp_path):
    """Start a Python program in the background, wait for its first line, stop it after the test."""

    def started(code, lines=1):
        log = tmp_path / "out.log"
        program = launch(["-c", code], tmp_path / "note.json", log, "http://there/api", os.environ)
        assert becomes(lambda: log.read_text().count("\n") >= lines)
        return program

    yield started
    stop(tmp_path / "note.json")


def test_the_note_leads_to_the_program(start, tmp_path):
    program = start(SLEEP)

    assert running(tmp_path / "note.json") == program
    assert program.url == "http://there/api"


def test_a_program_that_cannot_be_noted_does_not_stay(tmp_path):
    (tmp_path / "note.json").mkdir()
    before = set(background._children)

    with pytest.raises(UsageError):
        launch(["-c", SLEEP], tmp_path / "note.json", tmp_path / "out.log", "http://there/api", os.environ)

    (unnoted,) = background._children.keys() - before
    assert becomes(lambda: background._started(unnoted) is None)


def test_the_program_has_a_session_of_its_own(start):
    program = start(SLEEP)

    assert os.getsid(program.pid) == program.pid != os.getsid(0)


def test_a_program_stopped_is_gone_and_so_is_its_note(start, tmp_path):
    program = start(SLEEP)

    assert stop(tmp_path / "note.json") is True
    assert not alive(program)
    assert not (tmp_path / "note.json").exists()
    assert stop(tmp_path / "note.json") is False


def test_a_program_that_ignores_sigterm_is_killed(start, tmp_path):
    program = start(STUBBORN)

    stop(tmp_path / "note.json", patience=0.5)

    assert not alive(program)


def test_children_of_the_program_end_with_it(start, tmp_path):
    start(WITH_CHILD, lines=3)
    child = int(next(line for line in (tmp_path / "out.log").read_text().split() if line != "up"))
    assert background._started(child)

    stop(tmp_path / "note.json")

    assert becomes(lambda: background._started(child) is None)


def test_a_stranger_with_the_noted_pid_is_neither_found_nor_stopped(start, tmp_path):
    program = start(SLEEP)
    note = tmp_path / "note.json"
    note.write_text(json.dumps(asdict(replace(program, started=program.started - 1))))

    assert running(note) is None
    assert stop(note) is False
    assert alive(program)

    os.kill(program.pid, signal.SIGKILL)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '"text"'])
def test_a_damaged_note_counts_as_none(tmp_path, text):
    (tmp_path / "note.json").write_text(text)

    assert running(tmp_path / "note.json") is None


def test_a_killed_program_counts_as_none(start, tmp_path):
    program = start(SLEEP)
    os.kill(program.pid, signal.SIGKILL)

    assert becomes(lambda: running(tmp_path / "note.json") is None)


def test_sigint_works_in_a_program_whose_starter_ignores_it(start, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        program = start(SLEEP)
    finally:
        signal.signal(signal.SIGINT, before)

    os.kill(program.pid, signal.SIGINT)

    assert becomes(lambda: not alive(program))


def test_a_large_log_is_set_aside_at_the_next_start(start, tmp_path, monkeypatch):
    monkeypatch.setattr(background, "LARGEST_LOG", 3)
    (tmp_path / "out.log").write_text("old text\n")

    start(SLEEP)

    assert (tmp_path / "out.old.log").read_text() == "old text\n"
    assert (tmp_path / "out.log").read_text() == "up\n"


def test_the_last_line_of_a_log_is_the_last_that_says_something(tmp_path):
    (tmp_path / "log").write_bytes(b"first\nError: \xff broken\n\nAn exception occurred.\n   \n")

    assert last_line(tmp_path / "log") == "Error: \ufffd broken"
    assert last_line(tmp_path / "missing") == ""


def test_a_lock_that_another_holds_is_busy_and_free_again_after_it(tmp_path):
    held, done = threading.Event(), threading.Event()

    def hold():
        with locked(tmp_path / "lock", 1):
            held.set()
            done.wait(30)

    other = threading.Thread(target=hold, daemon=True)
    other.start()
    held.wait(30)
    with pytest.raises(TemporaryError) as caught, locked(tmp_path / "lock", 0.2):
        pass
    done.set()
    other.join()

    assert caught.value.code == "busy"
    with locked(tmp_path / "lock", 1):
        pass


def test_a_dead_process_that_its_starter_has_not_reaped_is_not_alive():
    child = subprocess.Popen(["sleep", "60"])
    program = Program(child.pid, background._started(child.pid), "")
    assert alive(program)

    child.kill()

    assert becomes(lambda: not alive(program))
    child.wait()


def test_a_process_that_never_was_is_not_alive():
    assert not alive(Program(pid=2**22 + 1, started=1, url=""))


def test_patience_lasts_as_long_as_something_moves():
    signs = iter([*range(8), *[8] * 1000])

    assert len(list(patiently(0.3, sign=lambda: next(signs)))) > 8  # more than the time allows without a sign


def test_patience_ends_where_nothing_moves():
    assert 0 < len(list(patiently(0.3, sign=lambda: "the same"))) <= 4
