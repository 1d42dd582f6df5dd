"""Within one run, a question is answered once."""

import subprocess
import sys

import pytest

from anabranch.core.once import once, one_run

asked = []


@once
def answer(*question, **further):
    asked.append((question, further))
    if question == ("fails",):
        raise ValueError
    return object()


@pytest.fixture(autouse=True)
def nothing_asked():
    asked.clear()


def test_a_run_asks_once_for_equal_arguments():
    with one_run():
        assert answer("a", b=1) is answer("a", b=1)
        with one_run():  # a flow inside of a command
            answer("a", b=1)
        answer("a", b=2)

    assert len(asked) == 2


def test_another_run_and_no_run_ask_again():
    for _ in range(2):
        with one_run():
            answer("a")
    answer("a")
    answer("a")

    assert len(asked) == 4


def test_a_failure_is_asked_again():
    with one_run():
        for _ in range(2):
            with pytest.raises(ValueError, match=r"^$"):
                answer("fails")

    assert len(asked) == 2


COUNT = """
import sys
listed = []
sys.addaudithook(lambda event, args: listed.append(args[0]) if event == "os.scandir" else None)
from anabranch.command.cli import main
try:
    main(sys.argv[2:])
finally:
    print(sum(str(path) == sys.argv[1] for path in listed))
"""


@pytest.mark.parametrize("flags", [["--dry-run"], []], ids=["dry run", "run"])
def test_a_command_lists_a_folder_once(flags, tmp_path, prefect_server):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("a\n1\n")
    words = ["convert-files", f"{tmp_path}/in", f"{tmp_path}/out", "--quiet", *flags]

    done = subprocess.run(
        [sys.executable, "-c", COUNT, f"{tmp_path}/in", *words], capture_output=True, text=True, check=False
    )

    assert done.stdout.splitlines()[-1] == "1", done.stderr
