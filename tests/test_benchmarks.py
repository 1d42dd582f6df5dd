"""The benchmarks compare equal work, and measure what they say."""

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from anabranch.core.config import cores
from anabranch.logs.options import LogOptions, Mode
from benchmarks.engine import parse_logs
from benchmarks.logs import AGAIN, ENGINE, OUTER, PRECOMPILED, SLOW, WHOLE, Case, cases, page, require_equal
from benchmarks.measure import Usage, median, one_after_the_other, read_section, run, write_section
from benchmarks.one_core import WAYS, write_report

ARCHIVE = Path(__file__).parent / "data" / "logs" / "s03_dst_fall.tar.gz"
RANGE = {"timezone": "US/Eastern", "begin": "2025-11-02 00:30", "end": "2025-11-02 01:45"}
MODES = get_args(Mode)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The reports of all modes, made by the engine on two threads."""
    folder = tmp_path_factory.mktemp("ours")
    for name, chosen in (("whole", {"timezone": "US/Eastern"}), ("range", RANGE)):
        options = LogOptions(mode=list(MODES), **chosen)
        parse_logs(str(ARCHIVE), f"{folder / name}/", options, folder / "work", 2)
    return folder


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
def test_a_parser_for_one_core_writes_the_bytes_of_our_engine(ours, way, mode):
    out = io.BytesIO()

    write_report(str(ARCHIVE), out, LogOptions(mode=mode, timezone="US/Eastern"), WAYS[way])

    assert out.getvalue() == (ours / "whole" / f"{ARCHIVE.name}.{mode}.txt").read_bytes()


@pytest.mark.parametrize("way", WAYS)
def test_a_parser_for_one_core_leaves_out_the_same_lines(ours, way):
    out = io.BytesIO()

    write_report(str(ARCHIVE), out, LogOptions(mode="bw", **RANGE), WAYS[way])

    assert out.getvalue() == (ours / "range" / f"{ARCHIVE.name}.bw.txt").read_bytes()
    assert out.getvalue() != (ours / "whole" / f"{ARCHIVE.name}.bw.txt").read_bytes()


def _reports(folder, **texts):
    for name, text in texts.items():
        path = folder / name / "reports" / "report.txt"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return [folder / name / "reports" for name in texts]


def test_rows_that_wrote_the_same_reports_pass(tmp_path):
    require_equal(_reports(tmp_path, first="a", second="a"))


def test_a_row_with_another_byte_ends_the_benchmark(tmp_path):
    with pytest.raises(SystemExit, match="first and third wrote different reports"):
        require_equal(_reports(tmp_path, first="a", second="a", third="b"))


@pytest.mark.parametrize("fewer", ["first", "second"])
def test_a_row_with_a_report_less_ends_the_benchmark(tmp_path, fewer):
    folders = _reports(tmp_path, first="a", second="a")
    shutil.copy(folders[0] / "report.txt", tmp_path / ({"first": "second", "second": "first"}[fewer]) / "reports/more")

    with pytest.raises(SystemExit, match="first and second wrote different reports"):
        require_equal(folders)


def test_a_run_takes_the_processor_and_memory_of_the_programs_that_the_command_waited_for():
    inner = "import time; held = b'x' * 300_000_000\nwhile time.process_time() < 0.5: pass"

    usage = run([sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"])

    assert usage.cpu >= 0.5
    assert usage.peak >= 300_000_000
    assert usage.wall > 0


def test_a_command_that_fails_tells_why():
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run([sys.executable, "-c", "raise SystemExit('no such archive')"])

    assert raised.value.returncode == 1
    assert raised.value.__notes__ == ["no such archive\n"]


def test_every_command_may_keep_the_bytecode_of_its_modules(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "module.py").write_text("")

    run([sys.executable, "-c", "import module"], environment={"PYTHONPATH": str(tmp_path)})

    assert list((tmp_path / "__pycache__").glob("module.*.pyc"))


def test_commands_in_turn_add_their_times_and_have_the_highest_peak():
    assert one_after_the_other([Usage(2, 1, 70), Usage(3, 5, 60)]) == Usage(5, 6, 70)


def test_a_median_is_taken_of_each_figure():
    assert median([Usage(1, 9, 50), Usage(2, 8, 70), Usage(9, 1, 60)]) == Usage(2, 8, 60)


def test_a_benchmark_replaces_its_own_section_and_nothing_else(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("# Head\n")
    write_section("logs", "old\n", path)
    write_section("runner", "kept\n", path)

    write_section("logs", "new\n", path)

    text = path.read_text()
    assert [read_section(name, path) for name in ("logs", "runner", "files")] == ["new\n", "kept\n", ""]
    assert [line for line in text.splitlines() if line and not line.startswith("<!--")] == ["# Head", "new", "kept"]


def test_the_slowest_row_is_scaled_to_archives_for_which_it_would_take_too_long():
    ours = {PRECOMPILED: 10.0, ENGINE.format(cores()): 2.0, WHOLE: 4.0, AGAIN: 3.0, OUTER: 1.0}
    rows = {name: Usage(wall, wall, 10**8) for name, wall in ours.items()}

    text = page({Case(20, ("bw",)): {SLOW: Usage(100, 90, 10**8), **rows}, Case(200, ("bw",)): rows}, 3, "this machine")

    assert f"| {SLOW} | 100.00 | 90.00 | 0.90 | 100 | 0.2 | 1.0 | 0.1 |" in text
    assert f"| {SLOW} (measured with 20 MB, scaled) | 1000.00 | 900.00 | 0.90 | 100 | 0.2 | 1.0 | 0.0 |" in text
    assert f"| {WHOLE} | 4.00 | 4.00 | 1.00 | 100 | 50.0 | 250.0 | 2.5 |" in text


def test_the_slowest_row_of_other_reports_is_not_scaled():
    rows = {name: Usage(1, 1, 1) for name in (PRECOMPILED, ENGINE.format(cores()), WHOLE, AGAIN, OUTER)}

    text = page({Case(20, ("bw",)): {SLOW: Usage(100, 90, 1), **rows}, Case(200, ("md",)): rows}, 3, "this machine")

    assert "scaled" not in text


def test_the_cases_are_all_sizes_and_single_reports_of_the_largest_archive_with_a_slow_row():
    assert cases([200, 3, 20], MODES, slow_mb=20) == [
        Case(3, MODES),
        Case(20, MODES),
        Case(200, MODES),
        Case(20, ("bw",)),
        Case(20, ("known",)),
    ]
    assert cases([200], ["md"], slow_mb=20) == [Case(200, ("md",))]
