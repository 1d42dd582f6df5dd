"""The whole command in a subprocess: output, JSON, exit code, stderr."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anabranch.command import cli
from anabranch.core.parts import Report
from anabranch.logs.sample import write_sample

DATA = Path(__file__).parent / "data" / "logs"
BASIC, CUT, DAMAGED = DATA / "s01_basic.tar.bz2", DATA / "c09_cut_outer.tar", DATA / "s05_broken_members.tar.bz2"
KNOWN = (DATA / "expected" / "s01_basic.tar.bz2.known.UTC.txt").read_bytes()
PROGRESS = re.compile(r"[a-z ]+: \d+ of \d+ parts.*, \d+ %")  # on a busy machine, where a run takes more than 10 s
COMMAND = [sys.executable, "-m", "anabranch.command.cli"]


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "ANABRANCH_WORK_DIR": str(tmp_path / "work"), "ANABRANCH_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """An archive whose run takes long enough to be interrupted."""
    path = tmp_path_factory.mktemp("sample") / "unit.tar.bz2"
    write_sample(path, megabytes=60)
    return path


@pytest.fixture
def anabranch(environment):
    def run(*arguments, **more):
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, env={**environment, **more}, check=False)

    return run


@pytest.mark.server
class TestRun:
    """With a server, as people use it."""

    @pytest.fixture(autouse=True)
    def server(self, prefect_server):
        return prefect_server

    def test_a_flows_module_is_the_command_whose_one_report_goes_to_stdout_byte_for_byte(self, environment):
        words = [sys.executable, "-m", "flows.logs", str(BASIC)]
        done = subprocess.run(words, capture_output=True, env=environment, check=False)
        said = [line for line in done.stderr.decode().splitlines() if not PROGRESS.fullmatch(line)]

        assert (done.stdout, done.returncode) == (KNOWN, 0)
        assert b"wrote" not in done.stderr  # what it wrote on the way is a file of ours
        assert said[0] == "parse-logs: completed: 2 of 2 parts done"  # without a word of Prefect's
        assert any("/runs/flow-run/" in line for line in said)

    def test_quiet_says_nothing_where_nothing_is_wrong_and_no_proxy_is_asked_for_this_machines_server(self, anabranch):
        done = anabranch("parse-logs", BASIC, "--quiet", http_proxy="http://127.0.0.1:9", no_proxy="")

        assert done.stdout == KNOWN
        assert done.stderr == b""

    def test_several_reports_go_to_a_folder_and_a_second_run_takes_them_from_the_cache(self, anabranch, tmp_path):
        arguments = ("parse-logs", BASIC, "--mode", "known,bw", "--output", f"{tmp_path}/reports/", "--json")
        first, second = (Report.model_validate_json(anabranch(*arguments).stdout) for _ in range(2))

        assert first.outputs == [f"{tmp_path}/reports/{BASIC.name}.{mode}.txt" for mode in ("known", "bw")]
        assert Path(first.outputs[0]).read_bytes() == KNOWN
        assert (first.status, first.parts.total, first.parts.cached) == ("completed", 2, 0)
        assert second.parts.cached == second.parts.total == 2
        assert second.items == first.items
        assert first.run_id in first.run_url

    def test_a_damaged_member_is_a_warning_and_the_one_report_goes_to_the_file_that_is_named(self, anabranch, tmp_path):
        done = anabranch("parse-logs", DAMAGED, "--json", "--output", tmp_path / "report")
        report = Report.model_validate_json(done.stdout)

        assert done.returncode == 0
        assert report.status == "completed"
        assert any("messages.log" in warning and "lines" in warning for warning in report.warnings)
        expected = (DATA / "expected" / f"{DAMAGED.name}.known.UTC.txt").read_bytes()
        assert (tmp_path / "report").read_bytes() == expected.replace(b"{WORKDIR}", DAMAGED.name.encode())

    @pytest.mark.parametrize(("tolerate", "code"), [("0", 3), pytest.param("1", 0, marks=pytest.mark.soak)])
    def test_a_damaged_archive_is_read_up_to_the_damage(self, anabranch, tmp_path, tolerate, code):
        folder = f"{tmp_path}/reports/"
        done = anabranch("parse-logs", BASIC, CUT, "--output", folder, "--json", "--tolerate", tolerate)
        report = Report.model_validate_json(done.stdout)

        assert done.returncode == code
        assert report.errors[0].part == CUT.name
        assert (tmp_path / "reports" / f"{BASIC.name}.known.txt").read_bytes() == KNOWN
        assert (tmp_path / "reports" / f"{CUT.name}.known.txt").read_bytes().startswith(b"The untar failed")

    def test_an_archive_of_which_nothing_can_be_read_fails_the_run_and_keeps_its_report(self, anabranch, tmp_path):
        archive, report = tmp_path / "day.tar.bz2", tmp_path / "rep.txt"
        archive.write_bytes(b"")
        report.write_bytes(KNOWN)

        done = anabranch("parse-logs", archive, "--output", report)

        assert done.returncode == 1
        assert b"[archive-damaged]" in done.stderr
        assert report.read_bytes() == KNOWN

    def test_a_bad_file_makes_each_run_partly_failed_while_an_output_stands_beside_it(self, anabranch, tmp_path):
        good, bad, out = tmp_path / "good.csv", tmp_path / "bad.csv", tmp_path / "out"
        good.write_text("a\n1\n")
        bad.write_text("a\n1,2\n")

        runs = [anabranch("convert-files", *sources, out) for sources in ((good, bad), (good, bad), (bad,))]

        assert [done.returncode for done in runs] == [3, 3, 1]

    @pytest.mark.parametrize(("flags", "code"), [((), 0), (("--error-on-empty",), 4)])
    def test_an_empty_folder_is_nothing_to_do(self, anabranch, tmp_path, flags, code):
        (tmp_path / "inbox").mkdir()
        done = anabranch("parse-logs", tmp_path / "inbox", "--output", f"{tmp_path}/reports/", "--json", *flags)

        assert Report.model_validate_json(done.stdout).status == "nothing_to_do"
        assert done.returncode == code

    def test_a_terminal_gets_a_bar(self, environment):
        leader, follower = pty.openpty()
        process = subprocess.Popen([*COMMAND, "parse-logs", str(BASIC)], stdout=subprocess.DEVNULL, stderr=follower,
                                   env={**environment, "TERM": "xterm", "COLUMNS": "100"})  # fmt: skip
        os.close(follower)
        seen = b""
        while chunk := _read(leader):
            seen += chunk

        assert process.wait() == 0
        assert b"parse" in seen
        assert "━".encode() in seen
        assert b"100 %" in seen

    def test_an_interrupted_run_stops_with_5_and_the_same_command_resumes(self, environment, sample, tmp_path):
        output = tmp_path / "report"
        for number in (signal.SIGINT, signal.SIGTERM):
            work = tmp_path / f"work-{int(number)}"  # each of its own, so that some parts are left to be done
            command = [*COMMAND, "parse-logs", str(sample), "--output", str(output), "--json", "--work-dir", str(work)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
            while not list(work.glob("anabranch/results/*")):
                time.sleep(0.02)
            process.send_signal(number)
            stopped = Report.model_validate_json(process.communicate()[0])

            assert process.returncode == 5
            assert stopped.status == "cancelled"
            assert "Run the same command again to resume." in stopped.warnings[0]
            assert not output.exists()

        resumed = Report.model_validate_json(subprocess.run(command, capture_output=True, env=environment).stdout)  # noqa: PLW1510

        assert resumed.status == "completed"
        assert 0 < resumed.parts.cached < resumed.parts.total

    @pytest.mark.parametrize("module", ["attr", "pydantic", "pyarrow.lib", "prefect.settings", "prefect.flows"])
    def test_ctrl_c_while_something_is_imported_stops_with_5_and_one_line(self, environment, tmp_path, module):
        (tmp_path / "a.csv").write_text("a\n1\n")
        words = [
            "-X",
            "importtime",
            "-m",
            "anabranch.command.cli",
            "convert-files",
            str(tmp_path / "a.csv"),
            str(tmp_path / "out"),
        ]
        process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, env=environment, text=True)
        assert any(line.split("|")[-1].strip() == module for line in process.stderr)  # it was imported just now
        process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr if not line.startswith("import time:")]

        assert (process.wait(), said) == (5, ["stopped. Run the same command again to resume.\n"])

    def test_a_reader_that_has_seen_enough_is_no_error(self, environment):
        script = f"{' '.join(COMMAND)} parse-logs {BASIC} --mode bw | head -n 1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment, check=True)

        assert done.stdout == b"datetime,total bitrate,video bitrate,notes\n0\n"
        assert b"Traceback" not in done.stderr

    @pytest.mark.soak
    def test_a_cluster_that_is_not_there_fails_with_a_remedy(self, anabranch):
        done = anabranch("parse-logs", BASIC, "--cluster", "tcp://127.0.0.1:1")

        assert done.returncode == 1
        assert b"no Dask scheduler answers at tcp://127.0.0.1:1" in done.stderr
        assert b"Traceback" not in done.stderr


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize(("arguments", "reason"), [
    (["parse-logs", "missing.tar"], b"there is no such file"),
    (["parse-logs", BASIC, "--mode", "nonsense"], b"--mode"),
    (["parse-logs", BASIC, "--mode", "knwn"], b"(given: 'knwn'; did you mean 'known'?)"),
    (["parse-logs", BASIC, "--timezone", "Foo/Bar"], b"Foo/Bar"),
    (["parse-logs", BASIC, "--begin", "garbage"], b"garbage"),
    (["parse-logs", BASIC, "--workers", "0"], b"--workers"),
    (["parse-logs", BASIC, "--mode", "known,bw"], b"--output"),
    (["parse-logs"], b"SOURCE"),
    (["parse-logs", "a\nb.tar"], b"control characters"),
    (["parse-logs", "", "--output", "x/"], b"a path is empty"),
    (["parse-logs", BASIC, "--output", ""], b"a path is empty"),
    (["convert-files", BASIC, ""], b"a path is empty"),
    (["convert-files", BASIC, "x/", "--infer", "some"], b"all, sample:N (the first N), or none"),
    (["convert-files", BASIC, "x/", "--encoding", "rot13"], b"no text encoding 'rot13'"),
    (["run-pipeline", BASIC, "x/"], b"--function: is needed. Function called with each record"),
    (["run-pipeline", BASIC, "x/", "--function", "score"], b"package.module:name"),
    (["parse-logs", "missing/*.tar"], b"there is no such file"),
    (["parse-logs", BASIC, "--nonsense"], b"--nonsense"),
    (["nonsense"], b"nonsense"),
])  # fmt: skip
def test_wrong_usage_ends_with_2_before_a_server_is_needed(monkeypatch, capsys, arguments, reason):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")

    assert cli._run([*map(str, arguments)]) == 2
    said = capsys.readouterr().err.encode()
    assert reason in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(("arguments", "reason"), [
    (["parse-logs", "missing.tar"], b"there is no such file"),
    (["nonsense"], b"nonsense"),
])  # fmt: skip
def test_wrong_usage_is_the_exit_code_of_the_process(anabranch, arguments, reason):
    done = anabranch(*arguments, PREFECT_API_URL="http://127.0.0.1:1/api")

    assert done.returncode == 2
    assert reason in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_pattern_is_taken_from_the_folder_that_one_stands_in_whatever_its_name(environment, tmp_path):
    folder = tmp_path / "unit [1] *"
    folder.mkdir()
    (folder / "a.tar").write_bytes(CUT.read_bytes())
    done = subprocess.run([*COMMAND, "parse-logs", "*.tar", "--dry-run", "--json"], cwd=folder, capture_output=True,
                          env=environment, check=True)  # fmt: skip

    assert json.loads(done.stdout)["reads"][0]["path"] == str(folder / "a.tar")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_very_end_changes_nothing(environment, number):
    """While the interpreter ends, which takes a while with Prefect's modules, the system's own way would kill it."""
    code = (
        "import os, sys\nfrom anabranch.command.cli import main\n"
        "class Last:\n    def __del__(self, kill=os.kill, me=(os.getpid(), int(sys.argv[1]))): kill(*me)\n"
        "sys.last = Last()\nmain(['--version'])"
    )

    words = [sys.executable, "-c", code, str(int(number))]
    assert subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_the_run_begins_stops_with_5(environment, number):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        command = [*COMMAND, "parse-logs", str(BASIC)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**environment, "PREFECT_API_URL": url})
        with silent.accept()[0]:  # it waits for the server's answer now
            process.send_signal(number)
            said = process.communicate()[1]

    assert (process.returncode, said) == (5, b"stopped. Run the same command again to resume.\n")


@pytest.mark.parametrize(("word", "code"), [("--version", 0), ("nonsense", 2)])
def test_a_process_of_our_own_is_not_taken_apart_at_its_end_which_takes_long(environment, word, code):
    script = (
        "import atexit, sys\n"
        "class Late:\n    def find_spec(self, *_): sys.meta_path.remove(self); atexit.register(print, 'called')\n"
        "class Part:\n    def __del__(self): print('taken apart')\n"
        "from anabranch.command.cli import main\nsys.meta_path.insert(0, Late())\nsys.part = Part()\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", script, word], env=environment, capture_output=True)  # noqa: PLW1510

    assert done.returncode == code
    assert done.stdout.endswith(b"called\n")  # what was registered after us


def test_a_dry_run_prints_the_plan_and_touches_nothing(anabranch, tmp_path):
    done = anabranch("parse-logs", BASIC, "--dry-run", PREFECT_API_URL="http://127.0.0.1:1/api")
    as_json = anabranch("parse-logs", BASIC, "--dry-run", "--json", PREFECT_API_URL="http://127.0.0.1:1/api")

    assert done.returncode == 0
    assert BASIC.name.encode() in done.stdout
    assert json.loads(as_json.stdout)["parts"][0]["label"].startswith(BASIC.name)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_hands_nothing_over(anabranch, tmp_path):
    words = ("parse-logs", BASIC, "--output", tmp_path / "report", "--dry-run", "--detach")
    done = anabranch(*words, PREFECT_API_URL="http://127.0.0.1:1/api")

    assert done.returncode == 0
    assert b"Planned so far: 1 part" in done.stdout


def test_an_unreachable_server_is_a_clear_error(anabranch):
    done = anabranch("parse-logs", BASIC, PREFECT_API_URL="http://127.0.0.1:1/api")

    assert done.returncode == 1
    assert b"[server-unreachable]" in done.stderr
    assert b"Traceback" not in done.stderr


def test_debug_shows_the_traceback(anabranch):
    done = anabranch("parse-logs", "missing.tar", "--debug", PREFECT_API_URL="http://127.0.0.1:1/api")

    assert b"Traceback" in done.stderr


def test_help_names_every_option_with_its_description(anabranch):
    from anabranch.core.config import RunOptions
    from anabranch.logs.options import LogOptions

    text = anabranch("parse-logs", "--help", COLUMNS="400").stdout.decode()

    for name, field in {**LogOptions.model_fields, **RunOptions.model_fields}.items():
        assert f"--{name.replace('_', '-')}" in text
        assert field.description in text


def test_a_work_folder_that_cannot_be_used_is_told_before_a_server_is_needed(anabranch):
    done = anabranch("parse-logs", BASIC, "--work-dir", BASIC, PREFECT_API_URL="http://127.0.0.1:1/api")

    assert done.returncode == 1
    assert b"[folder-not-writable]" in done.stderr


def test_the_summary_says_how_many_outputs_it_leaves_out(capsys):
    from anabranch.command.terminal import MOST_LINES, Terminal

    for more, lines in ((0, []), (3, ["… and 3 more outputs: --json lists them all"])):
        outputs = [f"out/{number}" for number in range(MOST_LINES + more)]
        Terminal().summarise(Report(flow="convert-files", outputs=outputs), own_server=False)
        assert capsys.readouterr().err.splitlines()[MOST_LINES + 1 :] == lines


def test_the_summary_counts_in_words(capsys):
    from anabranch.command.terminal import Terminal

    Terminal().summarise(Report(flow="f", items={"rows": 1000, "rows_set_aside": 2}, seconds=1), own_server=False)

    assert "1,000 rows, 2 rows set aside in 1.00 s" in capsys.readouterr().err

    one = {"files": 1, "rows": 1, "rows_set_aside": 1, "bw": 1, "candidates": 5, "pieces": 3}
    Terminal().summarise(Report(flow="f", items=one, seconds=1), own_server=False)

    assert "1 file, 1 row, 1 row set aside, 1 bw in 1.00 s" in capsys.readouterr().err


def test_who_reads_the_plan_may_leave(environment, tmp_path):
    for number in range(400):
        (tmp_path / f"in{number}.csv").write_text("a\n1\n")
    words = [*COMMAND, "convert-files", f"{tmp_path}/in*.csv", str(tmp_path / "out"), "--dry-run"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


def test_closed_standard_streams_are_no_error(environment, tmp_path):
    words = " ".join([*COMMAND, "parse-logs", str(BASIC), "--output", str(tmp_path / "r"), "--dry-run"])
    closed = subprocess.run(["sh", "-c", f"{words} <&- >&-"], capture_output=True, env=environment, check=False)

    assert (closed.returncode, closed.stderr) == (0, b"")


def test_plain_lines_come_every_ten_seconds_where_there_is_no_terminal(monkeypatch, capsys):
    from anabranch.command import terminal
    from anabranch.core.parts import Part, Plan
    from anabranch.run.progress import Progress

    progress = Progress("parse", Plan(tuple(Part(i, str(i), 1.0, str(i)) for i in range(9)), ""))
    monkeypatch.setattr(terminal, "LINE_EVERY", 3600)
    with terminal.Terminal() as lines:
        lines.show(progress)
        early = capsys.readouterr().err
        monkeypatch.setattr(terminal, "LINE_EVERY", 0)
        lines.show(progress)
        monkeypatch.setattr(terminal, "LINE_EVERY", 3600)
        lines.show(progress)

    assert early == ""
    assert capsys.readouterr().err == "parse: 0 of 9 parts, 0 %\n"


@pytest.mark.server
@pytest.mark.cluster
def test_a_run_interrupted_on_a_cluster_leaves_no_work_there_and_the_same_command_resumes(
    environment, prefect_server, cluster, sample, tmp_path
):
    import distributed

    output = tmp_path / "report"
    command = [*COMMAND, "parse-logs", str(sample), "--output", str(output), "--json", "--cluster", cluster]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    while not list((tmp_path / "work").glob("anabranch/results/*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stopped = Report.model_validate_json(process.communicate()[0])

    assert (process.returncode, stopped.status) == (5, "cancelled")
    assert not output.exists()
    with distributed.Client(cluster, set_as_default=False) as client:
        assert not any(client.run(lambda dask_worker: list(dask_worker.active_threads)).values())

    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    resumed = Report.model_validate_json(done.stdout)

    assert 0 < resumed.parts.cached < resumed.parts.total == resumed.parts.done
    assert output.stat().st_size > 0
