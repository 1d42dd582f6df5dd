"""Whatever happened before in the same work folder, a run that ends has the report of a fresh, sequential run."""

import bz2
import gzip
import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from anabranch.core.errors import Stopped, TemporaryError
from anabranch.core.kept import kept
from anabranch.logs.options import LogOptions
from tests.examples import SOAK_EXAMPLES
from tests.logs.archives import START, STOP, flow, line, tar_of
from tests.logs.commands import Cache, Command
from tests.logs.pipeline import parse_logs
from tests.logs.small import small_scale

PACK = {"unit.tar": bytes, "unit.tar.gz": gzip.compress, "unit.tar.bz2": lambda data: bz2.compress(data, 1)}
SCALE = {"seconds": 1e-6, "piece": 400}  # a log in some ten pieces, and as many parts as the threads call for
OPTIONS = [
    LogOptions(mode=["bw"]),
    LogOptions(mode=["bw", "sessions"]),
    LogOptions(mode=["bw"], timezone="US/Eastern", charts=True),
    LogOptions(mode=["sessions", "known", "md"], begin="2025-09-26 10:02", charts=True),
]


def _log(hour: int, bitrate: int) -> bytes:
    times = [f"2025-09-26T{hour:02}:{minute:02}:00.5+00:00" for minute in range(20)]
    return line(START, times[0]) + b"".join(flow(bitrate, time) for time in times) + line(STOP, times[-1])


CONTENTS = {
    "three logs": tar_of(
        {
            "messages.log.2.gz": gzip.compress(_log(9, 900)),
            "noise": random.Random(1).randbytes(150_000),  # makes it two blocks of bzip2
            "messages.log.1": _log(10, 1000),
            "messages.log": _log(11, 1100),
        }
    ),
    "other numbers in one": tar_of({"messages.log.1": _log(10, 1001), "messages.log": _log(11, 1100)}),
    "one damaged": tar_of({"messages.log.1.gz": gzip.compress(_log(9, 900))[:-4], "messages.log": _log(10, 1000)}),
    "no log": tar_of({"readme": b"nothing"}),
    "cut in a log": tar_of({"messages.log.1": _log(10, 1000), "messages.log": _log(11, 1100)})[:-3000],
}

DAMAGES = {
    "delete": Path.unlink,
    "truncate": lambda path: os.truncate(path, path.stat().st_size // 2),
    "change": lambda path: path.write_bytes(path.read_bytes()[::-1]),
    "touch": Path.touch,
}


class Sequences(RuleBasedStateMachine):
    """Two people run commands on one archive that changes, in one work folder, where anything may get lost."""

    commands: ClassVar = st.sampled_from(("ours", "theirs"))

    @initialize(name=st.sampled_from(sorted(PACK)), content=st.sampled_from(sorted(CONTENTS)))
    def set_up(self, name, content):
        self.stack = ExitStack()
        self.stack.enter_context(small_scale(**SCALE))
        self.folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.source, self.output = self.folder / name, self.folder / "reports"
        self.output.mkdir()
        self.cache: Cache = {}
        self.running: dict[str, Command] = {}
        self.disturbed: set[str] = set()
        self.change_source(content)

    def teardown(self):
        self.stack.close()

    @rule(content=st.sampled_from(sorted(CONTENTS)))
    def change_source(self, content):
        """A user who runs a command meanwhile starts again."""
        self.content = content
        self.source.write_bytes(PACK[self.source.name](CONTENTS[content]))
        self.running.clear()

    @rule(who=commands, options=st.sampled_from(OPTIONS), threads=st.integers(1, 5), seed=st.integers(0, 99))
    def start(self, who, options, threads, seed):
        work_dir = self.folder / "work"
        order = random.Random(seed)
        self.disturbed.discard(who)
        self.running[who] = Command(str(self.source), options, work_dir, self.cache, threads=threads, order=order)

    @rule(who=commands, parts=st.integers(1, 4))
    def do_parts(self, who, parts):
        if who in self.running:
            with self._excused(who):
                for _ in range(parts):
                    self.running[who].advance()

    @rule(who=commands)
    def stop(self, who):
        if who in self.running:
            with self._excused(who), suppress(Stopped):
                self.running[who].advance(stop=True)

    @rule(who=commands)
    def crash(self, who):
        """What is in memory is lost, and what was being written lies about."""
        if self.running.pop(who, None):
            kept.cache_clear()
            for folder in self._work_folders():
                (folder / ".0123456789abcdef.part").write_bytes(b"half a li")

    @rule(damage=st.sampled_from(("delete", "truncate")), every=st.integers(1, 3), seed=st.integers(0, 9))
    def spoil(self, damage, every, seed):
        """Who runs a command meanwhile may fail, and never joins what is left."""
        self._damage(damage, every, seed)
        self.disturbed |= self.running.keys()

    @precondition(lambda self: not self.running)
    @rule(damage=st.sampled_from(("change", "touch")), every=st.integers(1, 3), seed=st.integers(0, 9))
    def spoil_in_secret(self, damage, every, seed):
        """Only a later command can see it, by the time of the change."""
        self._damage(damage, every, seed)

    def _damage(self, damage, every, seed):
        files = sorted(path for folder in self._work_folders() for path in folder.iterdir())
        random.Random(seed).shuffle(files)
        for path in files[::every]:
            DAMAGES[damage](path)

    @rule(options=st.sampled_from(OPTIONS), threads=st.integers(1, 5), twice=st.booleans())
    def run_at_once(self, options, threads, twice):
        self.start("ours", options, threads, seed=0)
        self.finish("ours", twice)

    @rule(who=commands, twice=st.booleans())
    def finish(self, who, twice):
        if who in self.running:
            with self._excused(who):
                self._finish(self.running[who], twice, disturbed=who in self.disturbed)
            self.running.pop(who, None)

    def _finish(self, command, twice, *, disturbed):
        report = command.finish(self.output)
        if twice:
            report = command.join(self.output)

        expected, status, lines = fresh(self.source.name, self.content, command.options.model_dump_json())
        published = {Path(path).name: Path(path).read_bytes() for path in report.outputs}
        if disturbed and {error.code for error in report.errors} & {"file-changed", "system-error"}:
            assert published.items() <= expected.items()  # the archive keeps its old reports
        else:
            assert published == expected
            assert (report.status, report.items["lines"]) == (status, lines)

    @contextmanager
    def _excused(self, who):
        """A command fails only if its work files were damaged while it ran; the next one succeeds."""
        try:
            yield
        except (OSError, ValueError, TemporaryError):
            if who not in self.disturbed:
                raise
            self.running.pop(who)

    def _work_folders(self):
        return sorted((self.folder / "work").glob("logs/*"))


@cache
def fresh(name: str, content: str, options: str):
    """Return the reports, the status and the lines read of a sequential run, uncut, in a folder of its own."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / name
        source.write_bytes(PACK[name](CONTENTS[content]))
        chosen = LogOptions.model_validate_json(options)
        output = Path(folder) / "reports"
        output.mkdir()
        report = parse_logs([str(source)], output, chosen, Path(folder) / "work", threads=1)
        return (
            {Path(path).name: Path(path).read_bytes() for path in report.outputs},
            report.status,
            report.items["lines"],
        )


@pytest.mark.parametrize("examples", [40, pytest.param(SOAK_EXAMPLES, marks=pytest.mark.soak)])
def test_any_sequence_of_events_ends_in_the_report_of_a_fresh_run(examples):
    run_state_machine_as_test(Sequences, settings=settings(max_examples=examples, stateful_step_count=25))


def test_writers_of_the_same_plan_at_the_same_moment_all_get_the_whole_report(tmp_path):
    source = tmp_path / "unit.tar.bz2"
    source.write_bytes(PACK[source.name](CONTENTS["three logs"]))

    def parse(number):
        output = tmp_path / f"{number}.txt"
        parse_logs([str(source)], output, OPTIONS[0], tmp_path / "work", order=random.Random(number))
        return output.read_bytes()

    with small_scale(**SCALE), ThreadPoolExecutor(8) as threads:
        reports = set(threads.map(parse, range(40)))

    assert reports == set(fresh(source.name, "three logs", OPTIONS[0].model_dump_json())[0].values())
