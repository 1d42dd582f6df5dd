"""The whole command, as people type it: output, JSON, exit codes, and three recorded cases through Prefect."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import distributed
import psycopg
import pytest

from anabranch.core.parts import Report
from anabranch.tables.history import History
from anabranch.tables.secrets import open_store
from tests.cases import cases, folder
from tests.tables import test_cases as recorded
from tests.tables.importing import contents, job_of, made, target_of
from tests.tables.proxy import hold, hold_reply, through
from tests.tables.test_faults import COMMIT, until_gone

COMMAND = [sys.executable, "-m", "anabranch.command.cli"]
PEOPLE = "id bigint not null, name text"
THROUGH_PREFECT = [case for case in cases("tables") if case["id"][:3] in ("s04", "s21", "s28", "a01", "a03", "a08")]


@pytest.fixture
def anabranch(tmp_path):
    """Run a command in the test's folder."""
    places = {"ANABRANCH_WORK_DIR": str(tmp_path / "work"), "ANABRANCH_STATE_DIR": str(tmp_path / "state")}

    def run(*words, **more):
        command = [*COMMAND, *map(str, words)]
        environment = {**os.environ, **places, **more}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)

    return run


@pytest.fixture
def people(tmp_path):
    """A table with one row, and a file with one record that fits, one duplicate and one reject."""
    made(f"sqlite:///{tmp_path}/crm.db", target_of(PEOPLE), [(1, "a")])
    (tmp_path / "a.csv").write_text("id,name\n1,b\n2,c\nx,d\n")
    return ("import-table", "a.csv", "--into", "sqlite:///crm.db", "--table", "people", "--key", "id")


def test_a_dry_run_shows_columns_and_parts_and_writes_nothing(anabranch, people, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    done = anabranch(*people, "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "id → id bigint" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("words", "code"), [
    (("import-table", "a.csv", "--table", "t", "--create-table", "--dry-run"), 0),
    (("import-table", "a.csv", "--table", "t", "--create-table", "--validate", "--on-duplicate", "skip"), 3),
    (("imports", "list"), 1),
    (("imports", "show", "0"), 1),
])  # fmt: skip
def test_what_writes_nothing_makes_no_database_file(anabranch, tmp_path, words, code, prefect_server):
    (tmp_path / "a.csv").write_text("id,name\n1,b\n1,b\n")

    done = anabranch(*words, "--into", "sqlite:///new.db")

    assert done.returncode == code, done.stderr
    assert not (tmp_path / "new.db").exists()


def test_a_dry_run_refuses_what_the_run_would_refuse(anabranch, tmp_path):
    made(f"sqlite:///{tmp_path}/crm.db", target_of("id bigint", "other"))
    with closing(sqlite3.connect(tmp_path / "crm.db")) as base:
        base.execute("CREATE TABLE priced (id INTEGER, price NUMERIC(8,2))")
    (tmp_path / "a.csv").write_text("id,price\n1,1.5\n")

    done = anabranch("import-table", "a.csv", "--into", "sqlite:///crm.db", "--table", "priced", "--dry-run")

    assert (done.returncode, "[column-type]" in done.stderr) == (2, True)


@pytest.mark.parametrize(("words", "said"), [
    (("--into", "postgresql://me:geheim@host/db", "--table", "t"), "password-in-address"),
    (("--into", "sqlite:///crm.db", "--table", "a.b.c"), "table-name"),
    (("--into", "mysql://host/db", "--table", "t"), "database-address"),
    (("--into", "sqlite:///crm.db", "--table", "t", "--decimal", ";"), "bad-option"),
    (("--into", "sqlite:///crm.db", "--table", "t", "--date-formats", "%d/%Y"), "bad-option"),
    (("--into", "sqlite:///crm.db", "--table", "t", "--naive-timestamps", "Mars/Olympus"), "bad-option"),
    (("--into", "sqlite:///crm.db", "--table", "t", "--dry-run"), "no-table"),
    (("--table", "t"), "bad-option"),
])  # fmt: skip
def test_what_is_wrong_with_the_command_is_told_before_anything_runs(anabranch, people, words, said):
    done = anabranch("import-table", "a.csv", *words)

    assert done.returncode == 2, done.stderr
    assert f"[{said}]" in done.stderr
    assert "geheim" not in done.stderr + done.stdout


@pytest.mark.server
class TestWithAServer:
    @pytest.fixture(autouse=True)
    def server(self, prefect_server):
        return prefect_server

    def test_records_are_accounted_for_and_a_second_run_finds_the_file_known(self, anabranch, people, tmp_path):
        first = anabranch(*people, "--on-duplicate", "skip")
        second = anabranch(*people, "--on-duplicate", "skip", "--error-on-empty")
        listed = anabranch("imports", "list", "--into", "sqlite:///crm.db")

        assert (first.returncode, second.returncode, listed.returncode) == (3, 4, 0), first.stderr + second.stderr
        counts = "a.csv → people: 3 records = 1 inserted + 0 duplicates in the file + 1 in the table + 1 rejected"
        assert counts in first.stderr
        assert "already imported" in second.stderr
        assert contents(f"sqlite:///{tmp_path}/crm.db", "people") == [(1, "a"), (2, "c")]
        assert (tmp_path / "a.csv.rejects.csv").read_text() == "id,name\nx,d\n"
        assert "committed" in listed.stdout

    @pytest.mark.parametrize(("words", "ends"), [
        (("--on-duplicate", "skip", "--on-reject", "fail"), (1, "aborted")),
        pytest.param((), (1, "aborted"), marks=pytest.mark.soak),
        (("--on-duplicate", "skip", "--validate"), (3, "reported")),
        pytest.param(("--validate",), (3, "reported"), marks=pytest.mark.soak),
    ])  # fmt: skip
    def test_the_table_is_as_before_where_nothing_may_be_written(self, anabranch, people, tmp_path, words, ends):
        done = anabranch(*people, *words, "--json")

        status = Report.model_validate_json(done.stdout).details["import"]["status"]
        assert (done.returncode, status) == ends, done.stderr
        assert contents(f"sqlite:///{tmp_path}/crm.db", "people") == [(1, "a")]

    @pytest.mark.parametrize(
        "text", [pytest.param("", marks=pytest.mark.soak), "id,name\n"], ids=["empty", "only a header"]
    )
    def test_a_file_without_records_is_exit_4_where_that_is_an_error(self, anabranch, people, tmp_path, text):
        (tmp_path / "a.csv").write_text(text)

        done = anabranch(*people, "--error-on-empty", "--quiet")

        assert done.returncode == 4, done.stderr

    @pytest.mark.cases
    @pytest.mark.parametrize("case", THROUGH_PREFECT, ids=lambda case: case["id"])
    def test_a_recorded_case_goes_through_prefect(self, anabranch, case, postgres, tmp_path):
        recorded.make(case, postgres)
        options = recorded.options_of(case, postgres)
        words = [f"--{name.replace('_', '-')}={written(value)}" for name, value in options.items() if value]

        done = anabranch(
            "import-table", folder("tables") / case["file"], *words, "--output", tmp_path / "reports", "--json"
        )

        found = Report.model_validate_json(done.stdout).details["import"]
        assert {name: found[name] for name in case["expect"] if name in found} == {
            name: count for name, count in case["expect"].items() if name in found
        }
        recorded.require_rejects(case, tmp_path)
        recorded.require_duplicates(case, tmp_path)
        recorded.require_values(case, postgres)


def written(value):
    return ",".join(value) if isinstance(value, list) else value


@pytest.mark.server
class TestReplay:
    """Real processes that are killed, or run twice: the end is that of one undisturbed run."""

    @pytest.fixture(autouse=True)
    def server(self, prefect_server):
        return prefect_server

    @pytest.fixture
    def words(self, postgres, tmp_path):
        made(postgres, target_of(PEOPLE), [(3, "kept")])
        lines = [f"{number % 900},n{number}" if number % 50 else f"x{number},bad" for number in range(1000)]
        (tmp_path / "a.csv").write_text("id,name\n" + "\n".join(lines) + "\n")
        return (
            "import-table",
            "a.csv",
            "--into",
            postgres,
            "--table",
            "people",
            "--key",
            "id",
            "--on-duplicate",
            "skip",
        )

    def start(self, words, tmp_path):
        places = {"ANABRANCH_WORK_DIR": str(tmp_path / "work"), "ANABRANCH_STATE_DIR": str(tmp_path / "state")}
        return subprocess.Popen(
            [*COMMAND, *words, "--json"], cwd=tmp_path, env={**os.environ, **places}, stdout=subprocess.PIPE, text=True
        )

    def require_end(self, postgres, tmp_path):
        rows = contents(postgres, "people", "id")
        first = {number % 900: f"n{number}" for number in reversed(range(1000)) if number % 50} | {3: "kept"}
        assert rows == sorted(first.items())
        rejected = (tmp_path / "a.csv.rejects.csv").read_text().splitlines()
        assert rejected == ["id,name", *(f"x{number},bad" for number in range(0, 1000, 50))]

    def test_a_run_that_is_killed_before_its_commit_leaves_nothing_and_the_same_command_goes_on(
        self, words, postgres, tmp_path
    ):
        with psycopg.connect(postgres) as other:
            other.execute("LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE")
            running = self.start(words, tmp_path)
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            while running.poll() is None and not next(iter(rows_of(postgres, waiting)))[0]:
                time.sleep(0.05)
            running.kill()
            running.communicate()
        assert contents(postgres, "people") == [(3, "kept")]

        again = self.start(words, tmp_path)
        report = Report.model_validate_json(again.communicate()[0])

        assert (running.returncode, again.returncode) == (-signal.SIGKILL, 3)
        assert report.parts.cached >= 1
        self.require_end(postgres, tmp_path)

    @pytest.mark.parametrize(
        "moment",
        [
            pytest.param((b"COPY", hold, 1), marks=pytest.mark.soak),
            pytest.param((COMMIT, hold, 1), marks=pytest.mark.soak),
            (COMMIT, hold_reply, 882),
        ],
    )
    def test_a_run_that_is_killed_in_its_transaction_is_made_good_by_the_same_command(
        self, words, postgres, tmp_path, moment
    ):
        word, at, after = moment
        with open_store(postgres) as store:
            History(
                store, job_of(tmp_path, target_of(PEOPLE), [[]])[0]
            ).make()  # so that the next COMMIT is the import's
        with through(postgres, word, at) as (wire, proxy):
            running = self.start([wire if each == postgres else each for each in words], tmp_path)
            assert proxy.seen.wait(60)
            running.kill()
            running.communicate()
        until_gone(postgres)
        assert len(contents(postgres, "people")) == after

        again = self.start(words, tmp_path)
        report = Report.model_validate_json(again.communicate()[0])

        assert report.details["import"]["status"] == ("committed" if after == 1 else "already_imported")
        self.require_end(postgres, tmp_path)

    @pytest.mark.cluster
    def test_a_worker_that_is_killed_while_it_parses_costs_no_record(self, words, postgres, cluster, tmp_path):
        with (tmp_path / "a.csv").open("a") as file:
            file.writelines(f"{number % 900},{'more' * 50}\n" for number in range(1000, 200_000) if number % 50)
        with distributed.Client(cluster, set_as_default=False) as client:
            workers = set(client.run(os.getpid).values())
        running = self.start([*words, "--cluster", cluster], tmp_path)
        killed = set()
        while running.poll() is None and not killed:
            killed = {worker for worker in workers if has_open(worker, tmp_path / "work" / "anabranch" / "tables")}
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        report = Report.model_validate_json(running.communicate()[0])

        assert killed
        assert report.items["rows_in_file"] == 196_020
        self.require_end(postgres, tmp_path)

    def test_two_runs_of_one_command_at_once_import_the_file_once(self, words, postgres, tmp_path):
        runs = [self.start(words, tmp_path) for _ in range(2)]
        reports = [Report.model_validate_json(run.communicate()[0]) for run in runs]

        assert sorted(report.details["import"]["status"] for report in reports) == ["already_imported", "committed"]
        self.require_end(postgres, tmp_path)


def has_open(process, folder):
    """Whether a process has a file of the folder open."""
    opened = set()
    with suppress(OSError):
        for each in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                opened.update(each.readlink().parents)
    return folder in opened


def rows_of(url, sql):
    with psycopg.connect(url) as connection:
        return connection.execute(sql).fetchall()
