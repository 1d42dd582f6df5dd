"""Limits of all runs and of each user, counted at the server while several commands send at the same time."""

import os
import random
import subprocess
import sys
import time

import pytest

from anabranch.core.parts import Report

COMMAND = [sys.executable, "-m", "anabranch.command.cli", "upload-files"]
FILES, SIZE = 4, 11 << 20  # of each command, in three parts each
ALL, EACH = 4, 2


@pytest.mark.soak
@pytest.mark.server
@pytest.mark.timeout(900)
def test_never_more_files_are_sent_than_the_limits_say_and_all_are_sent(bucket, tmp_path, prefect_server):
    environment = {
        **os.environ, "ANABRANCH_WORK_DIR": str(tmp_path / "work"), "ANABRANCH_STATE_DIR": str(tmp_path / "state"),
        "ANABRANCH_UPLOADS": str(ALL), "ANABRANCH_UPLOADS_PER_USER": str(EACH),
    }  # fmt: skip
    running = []
    for user in ("ann", "bob", "cyd"):
        folder = tmp_path / user
        folder.mkdir()
        for number in range(FILES):
            (folder / str(number)).write_bytes(random.Random(f"{user}{number}").randbytes(SIZE))
        words = [folder, f"{bucket.url}/{user}/", "--endpoint", bucket.server.endpoint, "--part-size", "5MiB",
                 "--user", user, "--parts-in-flight", "1", "--json"]  # fmt: skip
        running.append(subprocess.Popen([*COMMAND, *map(str, words)], env=environment, stdout=subprocess.PIPE))
    most_of_all = most_of_each = 0
    while any(process.poll() is None for process in running):
        users = [key.partition("/")[0] for key in bucket.unfinished()]
        most_of_all = max(most_of_all, len(users))
        most_of_each = max([most_of_each, *(users.count(user) for user in set(users))])
        time.sleep(0.1)

    reports = [Report.model_validate_json(process.stdout.read()) for process in running]
    assert [report.items["sent"] for report in reports] == [FILES] * 3
    assert (1 <= most_of_all <= ALL, 1 <= most_of_each <= EACH) == (True, True)
    for user in ("ann", "bob", "cyd"):
        for number in range(FILES):
            assert bucket.read(f"{user}/{number}") == (tmp_path / user / str(number)).read_bytes()
