"""An import killed at any moment, and run again: the table, the report and the counts of an undisturbed run."""

import os
import random
import signal
import time
import uuid

import pyarrow.parquet as pq
import pytest

from anabranch.tables.secrets import open_store
from tests.examples import SOAK_EXAMPLES
from tests.tables.conftest import database, postgres, postgres_server, sqlite  # noqa: F401  fixtures
from tests.tables.importing import BAD, contents, facts, imported, job_of, made, target_of
from tests.tables.test_faults import SPAWN, run

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
POLICIES = ("skip", "update")


def outcome(url, result, folder, table):
    """Collect what must be equal; the rejects with their reasons, the duplicates with what they repeat."""
    reports = {
        path.name: pq.read_table(path).to_pylist() if path.suffix == ".parquet" else path.read_bytes()
        for path in sorted(folder.glob("file0.csv.*"))
    }
    return contents(url, table), facts(result), reports


def undisturbed(database, folder, rows, parts, policy):  # noqa: F811
    """Return how many seconds a run in a process of its own takes, its start included."""
    folder.mkdir()
    job, pieces = job_of(
        folder,
        made(database, target_of("id bigint not null, name text", "timed"), rows),
        [parts],
        key=("id",),
        on_duplicate=policy,
    )
    process = SPAWN.Process(target=run, args=(database, job, pieces))
    began = time.monotonic()
    process.start()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - began


@pytest.mark.parametrize("policy", POLICIES)
def test_an_import_killed_at_any_moment_ends_as_an_undisturbed_one(database, tmp_path, policy):  # noqa: F811
    draw = random.Random(policy)
    rows = [(number, "old") for number in range(200)]
    parts = [[BAD if number % 50 == 0 else (draw.randrange(3000), "new") for number in range(1000)] for _ in range(5)]
    expected, killed, seconds = None, 0, 0.0
    for example in range(max(5, SOAK_EXAMPLES // 50)):
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        name = f"t{example}"
        target = made(database, target_of("id bigint not null, name text", name), rows)
        if not example:
            imported(database, folder, target, key=("id",))  # makes the history
            seconds = undisturbed(database, tmp_path / "timed", rows, parts, policy)
        job, pieces = job_of(folder, target, [parts], key=("id",), on_duplicate=policy)
        if example:
            process = SPAWN.Process(target=run, args=(database, job, pieces))
            process.start()
            process.join(draw.uniform(0.05, 0.95) * seconds)
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                killed += 1
        found = outcome(database, run(database, job, pieces), folder, name)
        expected = expected or found
        assert found == expected
        with open_store(database) as store:
            store.run(f"DROP TABLE {name}")
    assert killed
