"""Whatever system call of a conversion fails or kills it, each output is the old one, the new one or not there."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import pytest

from anabranch.core.outputs import RECORD
from anabranch.files.manifest import read_record
from tests.examples import SOAK_EXAMPLES
from tests.faults import BROKEN, FULL, KILL
from tests.files.small import run, write_sources
from tests.forks import LASTING, forking, injected_forks

pytestmark = pytest.mark.faults

ENGINE = "tests.files.small:run"
CUT, KEPT = "cut.csv.gz", "cut.parquet"  # the source that fails, and its output of an earlier run, which stays
LIE = "retval=3"  # the call says that it wrote three bytes, and wrote none
WRITING = ("write", "fsync", "rename")
READING = ("openat", "read", "preadv2")
# a program opens and reads more files than it writes: minutes for each fault, which a short soak leaves out
LONG = SOAK_EXAMPLES >= 1000
ONCE = [("rename", KILL), ("write", FULL)]  # between any two steps, and within them
DENSE = [
    *((call, KILL) for call in ("write", "fsync")),
    *((call, FULL) for call in ("fsync", "rename")),
    *((call, fault) for call in WRITING for fault in (BROKEN, FULL + LASTING, BROKEN + LASTING)),
    *((call, fault) for call in (READING if LONG else ("preadv2",)) for fault in (KILL, BROKEN, BROKEN + LASTING)),
    ("write", LIE),
    ("write", LIE + LASTING),
]
REMARKS = {FULL: "No space left", BROKEN: "Input/output error", LIE: "fewer bytes than were written|invalid length"}


@dataclass(frozen=True)
class Setting:
    """Sources, and the folder of outputs as an earlier run left it (a copy is kept), and as the next one leaves it."""

    folder: Path
    old: dict[str, bytes]
    new: dict[str, bytes]

    def arguments(self, output: str = "output") -> list[str]:
        return [str(self.folder / name) for name in ("sources", output, "work")]

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def lay(self, *, old: bool) -> None:
        """Make the folder what it was before, or empty it."""
        shutil.rmtree(self.output)
        if old:
            shutil.copytree(self.folder / "kept", self.output)  # with its times, which the record knows


@pytest.fixture
def setting(tmp_path):
    sources, output, work = (tmp_path / name for name in ("sources", "output", "work"))
    write_sources(sources)
    shutil.copyfile(sources / "members.csv.gz", sources / CUT)
    run(str(sources), str(output), str(work), "snappy")
    old = _files(output)
    shutil.copytree(output, tmp_path / "kept")
    (sources / CUT).write_bytes((sources / CUT).read_bytes()[:-9])
    run(str(sources), str(output), str(work))
    return Setting(tmp_path, old, _files(output))


@pytest.mark.parametrize(
    ("call", "fault"),
    [*ONCE, *(pytest.param(*each, marks=pytest.mark.soak) for each in DENSE)],
    ids=lambda value: value.partition("=")[2] or value,
)
def test_a_fault_at_any_call_leaves_old_or_new_outputs_a_true_record_and_the_next_run_succeeds(setting, call, fault):
    old, new, output = setting.old, setting.new, setting.output
    first, second = new.keys() - {KEPT}, new.keys()
    setting.lay(old=True)
    before = old
    count = 0

    for ended in injected_forks(
        ENGINE, setting.arguments(), setting.arguments("warm"), call, fault=fault, log=setting.folder / "trace"
    ):
        count += 1
        left = _files(output)
        assert ended.returncode or call in READING or left == {**before, **{name: new[name] for name in first}}
        assert ended.returncode in (-SIGKILL, 0) or re.search(REMARKS[fault.rstrip(LASTING)], ended.stderr)
        assert all(left.get(name) in (before.get(name), new.get(name)) for name in {*left, *before})
        assert left.get(KEPT) == before.get(KEPT)
        _check_record(output, setting)
        report = run(*setting.arguments())
        assert [error.part for error in report.errors] == [CUT]
        assert _files(output) == {name: new[name] for name in (second if before else first)}
        setting.lay(old=not count % 2)
        before = {} if count % 2 else old

    assert count >= len(first)


def test_an_outputs_bytes_reach_the_disk_before_its_name_and_its_name_before_the_next_step(setting):
    setting.lay(old=False)
    log = setting.folder / "trace"

    with forking(ENGINE, setting.arguments("warm"), log, "trace=fsync,rename") as fork:
        assert fork(setting.arguments()).returncode == 0

    calls = re.findall(r'fsync\(\d+<(.+)>\) += 0|rename\("(.+)", "(.+)"\) += 0', log.read_text())
    for name in {*setting.new, RECORD} - {KEPT}:
        places = [place for place, (_, _, new) in enumerate(calls) if new == f"{setting.output}/{name}"]
        assert places
        for place in places:
            aside = calls[place][1]
            assert [calls[place - 1][0], calls[place + 1][0]] == [aside, str(setting.output)]


def _check_record(output: Path, setting: Setting) -> None:
    """What the record names is there as recorded, with the rows that were set aside by the same run."""
    record = read_record(output / RECORD)
    for entry in (*record.outputs, *record.earlier):
        assert entry.stands
        names = [Path(path).name for path in (entry.output, entry.quarantine) if path]
        texts = {name: (output / name).read_bytes() for name in names}
        assert texts.items() <= setting.old.items() or texts.items() <= setting.new.items()


def _files(folder: Path) -> dict[str, bytes]:
    """Read the outputs; the record beside them holds times, and what a killed run has left begins with a dot."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*") if path.name != RECORD}
