import os
from pathlib import Path

import pytest

from anabranch.core.errors import SetupError, UsageError
from anabranch.core.outputs import require_folder, require_usable, require_writable
from tests import ordinary


def test_what_can_be_written_is_not_refused(tmp_path):
    (tmp_path / "source").write_bytes(b"")
    (tmp_path / "old").write_bytes(b"")

    require_folder(tmp_path, "there are two outputs")
    require_folder(tmp_path / "new", "there are two outputs")
    require_writable([tmp_path / "old", tmp_path / "new" / "deep"], [tmp_path / "source", tmp_path / "gone"])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("file", "output-is-source"),
        ("link/file", "output-is-source"),
        ("hard", "output-is-source"),
        ("soft", "output-not-a-file"),
        ("pipe", "output-not-a-file"),
        ("folder", "output-not-a-file"),
        ("file/below", "output-not-writable"),
        ("x" * 256, "output-not-writable"),
        ("\u20ac" * 86, "output-not-writable"),
        ("/proc/self/none/below", "output-not-writable"),
    ],
)
def test_what_cannot_be_is_refused(name, code, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(".")
    (tmp_path / "soft").symlink_to("file")
    os.link(tmp_path / "file", tmp_path / "hard")
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError) as refused:
        require_writable([tmp_path / "new", tmp_path / name], [tmp_path / "file"])
    assert refused.value.code == code


def test_an_output_in_a_folder_that_may_not_be_entered_is_refused():
    with ordinary.folder() as folder:
        (folder / "closed/out").mkdir(parents=True)
        with ordinary.closed(folder / "closed"):
            require_folder(folder / "closed/out", "there are two outputs")
            with pytest.raises(UsageError) as refused:
                require_writable([folder / "closed/out/a"], [])
    assert refused.value.code == "output-not-writable"


@pytest.mark.parametrize("name", ["closed", "closed/below", "file", "file/below"])
def test_a_folder_of_ours_that_cannot_be_used_is_refused(name):
    with ordinary.folder() as folder:
        (folder / "closed").mkdir()
        (folder / "file").touch()
        assert require_usable(folder / "new" / "deep") == folder / "new" / "deep"
        with ordinary.closed(folder / "closed"), pytest.raises(SetupError, match="folder-not-writable"):
            require_usable(folder / name)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(UsageError, match="there are two outputs, and the output is a file"):
        require_folder(Path(tmp_path / "file"), "there are two outputs")
