"""Lost connections, killed processes and locks: the table is as before or as after, and the same import goes on."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor

import psycopg
import pyarrow.parquet as pq
import pytest

from anabranch.core.errors import TemporaryError
from anabranch.tables.secrets import open_store
from anabranch.tables.transaction import carry_out
from tests.tables.importing import BAD, contents, facts, imported, job_of, made, target_of
from tests.tables.proxy import cut_after, cut_before, hold, hold_reply, through

PEOPLE = "id bigint not null, name text"
COMMIT = b"COMMIT\0"
OPTIONS = {"key": ("id",), "on_duplicate": "skip"}
PARTS = ([(1, "again"), (2, "two")], [BAD, (2, "twice"), (3, None)])
AFTER = [(1, "old"), (2, "two"), (3, None)]
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def pair():
    """Two processes that import at the same time."""
    with ProcessPoolExecutor(2, SPAWN) as pool:
        yield pool


def run(url, job, pieces):
    with open_store(url) as store:
        return carry_out(store, job, pieces)


@pytest.fixture
def people(postgres, tmp_path):
    """A table with a row and a history, so that COMMIT comes once."""
    target = made(postgres, target_of(PEOPLE), [(1, "old")])
    imported(postgres, tmp_path, target, key=("id",))
    return target


def test_a_connection_lost_before_commit_leaves_the_table_as_it_was(postgres, people, tmp_path):
    job, pieces = job_of(tmp_path, people, [PARTS], **OPTIONS)

    with through(postgres, COMMIT, cut_before) as (url, _), pytest.raises(TemporaryError, match="undid the import"):
        run(url, job, pieces)

    assert contents(postgres, "people") == [(1, "old")]
    assert run(postgres, job, pieces).status == "committed"
    assert contents(postgres, "people") == AFTER


def test_a_lost_reply_of_commit_is_decided_by_the_database(postgres, people, tmp_path):
    job, pieces = job_of(tmp_path, people, [PARTS], **OPTIONS)

    with through(postgres, COMMIT, cut_after) as (url, proxy):
        result = run(url, job, pieces)

    assert proxy.seen.wait(10)
    assert result.status == "committed"
    assert contents(postgres, "people") == AFTER


@pytest.mark.parametrize(("at", "expected"), [(hold, [(1, "old")]), (hold_reply, AFTER)])
def test_a_process_killed_around_commit_is_made_good_by_the_same_import(postgres, people, tmp_path, at, expected):
    job, pieces = job_of(tmp_path, people, [PARTS], **OPTIONS)
    with through(postgres, COMMIT, at) as (url, proxy):
        process = SPAWN.Process(target=run, args=(url, job, pieces))
        process.start()
        assert proxy.seen.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    until_gone(postgres)
    assert contents(postgres, "people") == expected

    again = run(postgres, job, pieces)

    assert contents(postgres, "people") == AFTER
    assert facts(again)["accepted"] == 2
    assert pq.read_table(tmp_path / "file0.csv.duplicates.parquet")["record"].to_pylist() == [1, 4]
    assert (tmp_path / "file0.csv.rejects.csv").read_text() == "id,name\nbad,0\n"


def until_gone(url):
    """Wait until the server has noticed that a client of ours is gone."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    with psycopg.connect(url, autocommit=True) as connection:
        deadline = time.monotonic() + 30
        while connection.execute(sql).fetchone()[0] and time.monotonic() < deadline:
            time.sleep(0.05)


def test_a_server_that_falls_in_the_middle_loses_nothing(own_server, tmp_path):
    url = own_server.url()
    target = made(url, target_of(PEOPLE), [(1, "old")])
    job, pieces = job_of(tmp_path, target, [PARTS], **OPTIONS)

    def fall(client, server, data):
        own_server.stop("immediate")

    with through(url, b"INSERT INTO", fall) as (wire, _), pytest.raises(TemporaryError):
        run(wire, job, pieces)
    own_server.start()
    url = own_server.url()  # its port may be another: another program may have taken the first one meanwhile

    assert contents(url, "people") == [(1, "old")]
    assert run(url, job, pieces).status == "committed"
    assert contents(url, "people") == AFTER


def test_a_table_locked_by_others_ends_the_wait_and_names_them(postgres, people, tmp_path):
    with psycopg.connect(postgres, application_name="nightly report") as other:
        other.execute("LOCK TABLE people IN EXCLUSIVE MODE")
        with pytest.raises(TemporaryError, match=r"locked by process \d+ of postgres \(nightly report\)"):
            imported(postgres, tmp_path, people, *PARTS, **OPTIONS, lock_timeout=0.2)

    assert contents(postgres, "people") == [(1, "old")]


def test_a_file_of_sqlite_locked_by_others_ends_the_wait(sqlite, tmp_path):
    target = made(sqlite, target_of(PEOPLE), [(1, "old")])
    imported(sqlite, tmp_path, target, key=("id",))
    with open_store(sqlite) as other:
        other.run("BEGIN IMMEDIATE")
        with pytest.raises(TemporaryError, match="table-locked"):
            imported(sqlite, tmp_path, target, *PARTS, **OPTIONS, lock_timeout=0.2)

    assert contents(sqlite, "people") == [(1, "old")]


def test_two_imports_of_overlapping_files_give_the_union(database, pair, tmp_path):
    target = made(database, target_of(PEOPLE))
    imported(database, tmp_path, target, key=("id",))
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    files = [[[(number, "x") for number in range(start, start + 300)]] for start in (0, 200)]
    jobs = [job_of(folder, target, [file], **OPTIONS) for folder, file in zip(folders, files, strict=True)]

    results = list(pair.map(run, [database] * 2, *zip(*jobs, strict=True)))

    assert [row[0] for row in contents(database, "people")] == list(range(500))
    assert [result.status for result in results] == ["committed"] * 2
    assert sum(facts(result)["accepted"] for result in results) == 500
    assert sum(facts(result).get("duplicates_in_table", 0) for result in results) == 100


def test_the_same_import_twice_at_once_is_done_once(database, pair, tmp_path):
    target = made(database, target_of(PEOPLE))
    imported(database, tmp_path, target, key=("id",))
    job, pieces = job_of(tmp_path, target, [PARTS], **OPTIONS)

    results = list(pair.map(run, [database] * 2, [job] * 2, [pieces] * 2))

    assert sorted(result.status for result in results) == ["already_imported", "committed"]
    assert facts(results[0]) == facts(results[1])
    assert len(contents(database, "people")) == 3


@pytest.mark.parametrize("covered", [False, True])
def test_foreign_writers_are_kept_out_only_where_no_index_covers_the_key(postgres, people, tmp_path, covered):
    with psycopg.connect(postgres, autocommit=True) as other:
        if covered:
            other.execute("CREATE UNIQUE INDEX ON people (id)")
        other.execute("SET lock_timeout = '200ms'")
        with open_store(postgres) as store:
            store.begin(1)
            store.lock(people, ("id",), alone=True, nulls=False)
            if covered:
                other.execute("INSERT INTO people VALUES (9, 'foreign')")
            else:
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute("INSERT INTO people VALUES (9, 'foreign')")
