"""Limits of all runs and of each user, counted at the server while several commands send at the same time."""

import os
import random
import subprocess
import sys
import time

import pytest

from anabranch.core.parts import Report
from tests.examples import SOAK_EXAMPLES

COMMAND = [sys.executable, "-m", "anabranch.command.cli", "upload-files"]
SIZE = 6 << 20  # bytes of a file, in two parts

pytestmark = pytest.mark.server


def test_never_more_files_are_sent_than_the_limits_say_and_all_are_sent(bucket, tmp_path, prefect_server):
    send_all(bucket, tmp_path, {"ann": 4, "bob": 4, "cyd": 4}, processes=3, most=(4, 2))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_limits_hold_for_many_uploads_of_many_users(bucket, tmp_path, prefect_server):
    for number in range(max(2, SOAK_EXAMPLES // 100)):
        folder = tmp_path / str(number)
        folder.mkdir()
        users = {f"user{user}": 4 if user == 0 else 3 for user in range(8)}
        send_all(bucket, folder, users, processes=5, most=(6, 2))


def send_all(bucket, folder, users, processes, most):
    """Send that many files of each user, with that many commands at the same time; `most` are the two limits."""
    environment = {
        **os.environ, "ANABRANCH_WORK_DIR": str(folder / "work"), "ANABRANCH_STATE_DIR": str(folder / "state"),
        "ANABRANCH_UPLOADS": str(most[0]), "ANABRANCH_UPLOADS_PER_USER": str(most[1]),
    }  # fmt: skip
    prefix = folder.name
    for user, files in users.items():
        (folder / user).mkdir()
        for number in range(files):
            (folder / user / str(number)).write_bytes(random.Random(f"{prefix}{user}{number}").randbytes(SIZE))
    waiting, running, ended, seen = list(users), {}, {}, []
    while waiting or running:
        while waiting and len(running) < processes:
            user = waiting.pop()
            words = [folder / user, f"{bucket.url}/{prefix}/{user}/", "--endpoint", bucket.server.endpoint,
                     "--user", user, "--part-size", "5MiB", "--parts-in-flight", "1", "--json"]  # fmt: skip
            running[user] = subprocess.Popen([*COMMAND, *map(str, words)], env=environment, stdout=subprocess.PIPE)
        seen.append([key.split("/")[1] for key in bucket.unfinished()])
        for user in [user for user, process in running.items() if process.poll() is not None]:
            ended[user] = Report.model_validate_json(running.pop(user).stdout.read())
        time.sleep(0.1)

    assert {user: report.items["sent"] for user, report in ended.items()} == users
    assert 1 <= max(len(each) for each in seen) <= most[0]
    assert max(each.count(user) for each in seen for user in users) <= most[1]
    for user, files in users.items():
        for number in range(files):
            assert bucket.read(f"{prefix}/{user}/{number}") == (folder / user / str(number)).read_bytes()
