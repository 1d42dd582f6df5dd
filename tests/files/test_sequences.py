"""Whatever happened before in the same folders, a run that ends has the outputs of a fresh, sequential run."""

import bz2
import gzip
import os
import random
import shutil
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
from anabranch.core.outputs import RECORD
from anabranch.core.parts import Job
from anabranch.files.manifest import begin_record, read_record
from anabranch.files.options import ConvertOptions
from tests.examples import SOAK_EXAMPLES
from tests.files.commands import Cache, Command, run
from tests.files.small import rows, small_scale

OPTIONS = [
    ConvertOptions(),
    ConvertOptions(to="csv.gz", on_bad_row="quarantine"),
    ConvertOptions(to="jsonl", on_conflict="string"),
    ConvertOptions(compression="snappy", on_bad_row="quarantine", on_conflict="widen"),
]
BAD = b"90,too,many,cells\n"
CONTENTS = {  # of the sources, some of which cannot be converted
    "a.csv": [rows(90), rows(90) + b"90,n,0.5\n", rows(60) + BAD + rows(9)[10:], rows(70) + b"x,y,z\n", b""],
    "b.csv.gz": [
        gzip.compress(rows(40), mtime=0) + gzip.compress(b"40,n,1\n" * 20, mtime=0),
        gzip.compress(rows(40), mtime=0)[:-4],
    ],
    "c.csv.bz2": [bz2.compress(rows(50), 1), rows(50)],
    "d.jsonl": [b'{"a": 1}\n' * 90 + b'{"a": "x"}\n', b'{"a": 1}\n' * 90 + b"[]\n"],
}
VERSIONS = st.sampled_from([(name, data) for name, versions in CONTENTS.items() for data in versions])
SPOILED = {"file-changed", "system-error", "segment-damaged", "unexpected"}
DAMAGES = {
    "delete": Path.unlink,
    "truncate": lambda path: os.truncate(path, path.stat().st_size // 2),
    "change": lambda path: path.write_bytes(path.read_bytes()[::-1] + b"\0"),
    "touch": Path.touch,
}


class Sequences(RuleBasedStateMachine):
    """Two people convert the same changing sources into one folder, with one work folder, where anything may get lost.

    The folder of outputs may be that of the sources.
    """

    commands: ClassVar = st.sampled_from(("ours", "theirs"))
    somebody_runs: ClassVar = precondition(lambda self: self.running)

    @initialize(inside=st.booleans(), sources=st.lists(VERSIONS, min_size=1, max_size=6))
    def set_up(self, inside, sources):
        self.stack = ExitStack()
        self.stack.enter_context(small_scale())
        self.folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.sources = self.folder / "sources"
        self.output = self.sources / "output" if inside else self.folder / "output"
        self.sources.mkdir()
        self.cache: Cache = {}
        self.running: dict[str, Command] = {}
        self.disturbed: set[str] = set()
        for source in sources:
            self.change_source(source)

    def teardown(self):
        self.stack.close()

    @rule(source=VERSIONS)
    def change_source(self, source):
        """A user who runs a command meanwhile starts again."""
        name, data = source
        (self.sources / name).write_bytes(data)
        self.running.clear()

    @precondition(lambda self: len(list(self.sources.glob("*.*"))) > 1)
    @rule(damage=st.sampled_from(("delete", "touch")), number=st.integers(0, 3))
    def lose_source(self, damage, number):
        sources = sorted(self.sources.glob("*.*"))
        DAMAGES[damage](sources[number % len(sources)])
        self.running.clear()

    @rule(
        who=commands, options=st.sampled_from(OPTIONS), threads=st.integers(1, 5), seed=st.integers(0, 99),
        refresh=st.booleans(),
    )  # fmt: skip
    def start(self, who, options, threads, seed, *, refresh):
        job = Job([str(self.sources)], str(self.output), options, self.folder / "work", threads, refresh)
        self.disturbed.discard(who)
        self.running[who] = Command(job, self.cache, random.Random(seed))

    @somebody_runs
    @rule(who=commands, parts=st.integers(1, 6))
    def do_parts(self, who, parts):
        if who in self.running:
            for _ in range(parts):
                self.running[who].advance()

    @somebody_runs
    @rule(who=commands)
    def stop(self, who):
        if who in self.running:
            with suppress(Stopped):
                self.running[who].advance(stop=True)

    @somebody_runs
    @rule(who=commands)
    def crash(self, who):
        """What is in memory is lost, and what was being written lies about."""
        if self.running.pop(who, None):
            kept.cache_clear()
            for folder in [*self._work_folders(), *self.folder.rglob("output")]:
                (folder / ".0123456789abcdef.part").write_bytes(b"half a li")

    @rule(damage=st.sampled_from(("delete", "truncate")), every=st.integers(1, 3), seed=st.integers(0, 9))
    def spoil(self, damage, every, seed):
        """Who runs a command meanwhile may fail, and never joins what is left."""
        self._damage(damage, every, seed, [file for folder in self._work_folders() for file in folder.iterdir()])
        self.disturbed |= self.running.keys()

    @precondition(lambda self: not self.running)
    @rule(damage=st.sampled_from(("change", "touch")), every=st.integers(1, 3), seed=st.integers(0, 9))
    def spoil_in_secret(self, damage, every, seed):
        """Only a later command can see it, by the time of the change."""
        self._damage(damage, every, seed, [file for folder in self._work_folders() for file in folder.iterdir()])

    @rule(damage=st.sampled_from(sorted(DAMAGES)), every=st.integers(1, 3), seed=st.integers(0, 9))
    def spoil_outputs(self, damage, every, seed):
        """Not the record, which is believed; of the rows set aside it knows only whether they are there."""
        beside = () if damage == "delete" else self.output.glob("*.quarantine.jsonl")
        files = {*self.output.glob("[!.]*")} - {self.output / RECORD, *beside}
        self._damage(damage, every, seed, files)
        self.disturbed |= self.running.keys()

    def _damage(self, damage, every, seed, files):
        files = sorted(files)
        random.Random(seed).shuffle(files)
        for path in files[::every]:
            DAMAGES[damage](path)

    @rule(options=st.sampled_from(OPTIONS), threads=st.integers(1, 5))
    def run_at_once(self, options, threads):
        self.start("ours", options, threads, seed=0, refresh=False)
        self.finish("ours")

    @somebody_runs
    @rule(who=commands)
    def finish(self, who):
        if who in self.running:
            command = self.running.pop(who)
            with self._excused(who), self._true_record():
                self._finish(command, disturbed=who in self.disturbed)
            self.disturbed |= self.running.keys()  # a run takes away what it has joined, and replaces outputs

    def _finish(self, command, *, disturbed):
        before = _files(self.output)
        report = command.finish()
        after = _files(self.output)
        content = tuple((path.name, path.read_bytes()) for path in sorted(self.sources.glob("*.*")))
        expected, errors = fresh(content, command.job.options.model_dump_json())

        spoiled = {error.part for error in report.errors if error.code in SPOILED}
        assert disturbed or not spoiled
        assert {(error.part, error.code) for error in report.errors if error.part not in spoiled} <= errors
        failed = {_output(error.part, command.job.options) for error in report.errors}
        for name in {*expected, *after}:
            beside = name.removesuffix(".quarantine.jsonl")
            kept = beside in failed or beside not in expected
            assert after.get(name) == (before if kept else expected).get(name), name

    @contextmanager
    def _true_record(self):
        """A record that is written tells only of outputs that are there; others may have been spoiled since."""
        path = self.output / RECORD
        before = path.exists() and path.stat().st_mtime_ns
        yield
        record = read_record(path)
        if path.exists() and path.stat().st_mtime_ns != before:
            assert all(entry.stands for entry in (*record.outputs, *record.earlier))
            assert not record.unfinished

    @contextmanager
    def _excused(self, who):
        """A command fails only if its work files were damaged while it ran; the next one succeeds."""
        try:
            yield
        except TemporaryError:
            assert who in self.disturbed

    def _work_folders(self):
        return sorted((self.folder / "work").glob("files/*"))


@cache
def fresh(content: tuple[tuple[str, bytes], ...], options: str):
    """Return the outputs and the errors of a sequential run in folders of its own."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sources").mkdir()
        for source, data in content:
            (folder / "sources" / source).write_bytes(data)
        chosen = ConvertOptions.model_validate_json(options)
        report = run([str(folder / "sources")], folder / "output", chosen, folder / "work")
        return _files(folder / "output"), {(error.part, error.code) for error in report.errors}


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*") if path.name != RECORD}


def _output(label: str, options: ConvertOptions) -> str:
    return f"{label.partition('.')[0]}.{options.to}"


@pytest.mark.parametrize("examples", [25, pytest.param(SOAK_EXAMPLES, marks=pytest.mark.soak)])
def test_any_sequence_of_events_ends_in_the_outputs_of_a_fresh_run(examples):
    run_state_machine_as_test(Sequences, settings=settings(max_examples=examples, stateful_step_count=20))


def test_the_same_file_named_by_another_folder_has_another_output(tmp_path):
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/a.csv").write_bytes(rows(3))
    output = tmp_path / "output"

    run([str(tmp_path / "data")], output, OPTIONS[0], tmp_path / "work")
    run([str(tmp_path / "data/sub")], output, OPTIONS[0], tmp_path / "work")

    assert (output / "sub/a.parquet").read_bytes() == (output / "a.parquet").read_bytes()


def test_a_folder_that_was_copied_is_not_taken_for_the_one_whose_record_it_holds(tmp_path):
    source, output = tmp_path / "a.csv", tmp_path / "output"
    source.write_bytes(rows(3))
    run([str(source)], output, OPTIONS[0], tmp_path / "work")
    shutil.copytree(output, tmp_path / "copy")
    (tmp_path / "copy/a.parquet").unlink()

    run([str(source)], tmp_path / "copy", OPTIONS[0], tmp_path / "work")

    assert (tmp_path / "copy/a.parquet").exists()


def test_the_outputs_of_a_killed_run_beside_the_sources_are_no_sources(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_bytes(rows(3))
    begin_record(data / RECORD, [str(data / "a.parquet")])
    (data / "a.parquet").write_bytes(b"written before the run was killed")

    report = run([str(data)], data, OPTIONS[0], tmp_path / "work")

    assert (report.items["converted"], report.errors) == (1, [])
    assert read_record(data / RECORD).unfinished == []


def test_rows_set_aside_earlier_are_gone_when_the_source_was_mended(tmp_path):
    source, output = tmp_path / "a.csv", tmp_path / "output"
    source.write_bytes(rows(3) + BAD)
    run([str(source)], output, OPTIONS[1], tmp_path / "work")
    source.write_bytes(rows(3))
    run([str(source)], output, OPTIONS[1], tmp_path / "work")

    assert sorted(_files(output)) == ["a.csv.gz"]


def test_a_run_in_the_same_process_finds_the_text_that_was_unpacked_for_it(tmp_path):
    source, theirs, ours = tmp_path / "a.csv.gz", OPTIONS[0], OPTIONS[1]
    source.write_bytes(gzip.compress(rows(90)))
    shared: Cache = {}

    def command(options):
        job = Job([str(source)], str(tmp_path / "output"), options, tmp_path / "work", 2)
        return Command(job, shared, random.Random(0))

    with small_scale():
        command(theirs).advance()  # unpacks, and goes no further
        command(ours).finish()  # has used and removed what they unpacked
        (tmp_path / "output/a.csv.gz").unlink()

        assert command(ours).finish().errors == []


def test_runs_into_one_folder_at_the_same_moment_all_stand_in_its_record(tmp_path):
    sources = [tmp_path / f"{name}.csv" for name in "abcdef"]
    for number, source in enumerate(sources):
        source.write_bytes(rows(number + 1))

    def convert(source):
        run([str(source)], tmp_path / "output", OPTIONS[0], tmp_path / "work")

    with ThreadPoolExecutor(len(sources)) as threads:
        list(threads.map(convert, sources))

    standing = read_record(tmp_path / "output" / RECORD).standing
    assert sorted(Path(entry.output).stem for entry in standing) == list("abcdef")


def test_the_same_command_at_the_same_moment_ends_well_or_asks_to_be_run_again(tmp_path):
    source = tmp_path / "a.csv.gz"
    source.write_bytes(gzip.compress(rows(200)))

    def convert(seed):
        job = Job([str(source)], str(tmp_path / "output"), OPTIONS[0], tmp_path / "work", 3, refresh=True)
        with suppress(TemporaryError):
            return {error.code for error in Command(job, {}, random.Random(seed)).finish().errors}
        return set()

    with small_scale(), ThreadPoolExecutor(4) as threads:
        expected, _ = fresh(((source.name, source.read_bytes()),), OPTIONS[0].model_dump_json())
        codes = set().union(*threads.map(convert, range(16)))

    assert codes <= SPOILED
    assert _files(tmp_path / "output") == expected


def test_text_that_another_run_unpacked_outlives_the_end_of_that_run(tmp_path):
    source, cache = tmp_path / "a.csv.gz", Cache()
    source.write_bytes(gzip.compress(rows(90)))

    def command(name, options):
        return Command(Job([str(source)], str(tmp_path / name), options, tmp_path / "work", 1), cache, random.Random(0))

    with small_scale():
        one = command("one", OPTIONS[0])
        one.advance()
        assert [part.counts["bytes"] for part in cache.values()] == [len(rows(90))]
        other = command("other", OPTIONS[1])
        one.finish()
        report = other.finish()

    assert (report.errors, report.items["rows"]) == ([], 90)
    assert not list((tmp_path / "work").rglob("*.text"))
