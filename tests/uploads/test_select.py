"""Which files are sent, under which keys, and what is refused by name."""

import os
import socket
from pathlib import Path

import pytest

from anabranch.core.errors import UsageError
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.select import select
from anabranch.uploads.stores.base import Destination


@pytest.fixture
def tree(tmp_path):
    for name in ("in/a.bin", "in/deep/b.bin", "in/.hidden"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "in"


def keys(*sources, output="s3://bucket/p/"):
    return sorted(file.key for file in select([str(one) for one in sources], output, UploadOptions()).files)


@pytest.mark.parametrize(("output", "key"), [
    ("s3://bucket", "a.bin"), ("s3://bucket/", "a.bin"), ("s3://bucket/p", "p"), ("s3://bucket/p/", "p/a.bin"),
    ("S3://bucket/p/q", "p/q"),
])  # fmt: skip
def test_one_file_is_the_key_itself_unless_the_destination_ends_in_a_slash(tree, output, key):
    assert keys(tree / "a.bin", output=output) == [key]


def test_folders_and_patterns_keep_the_path_below_them(tree):
    assert keys(tree) == ["p/.hidden", "p/a.bin", "p/deep/b.bin"]
    assert keys(f"{tree}/**/*.bin") == ["p/a.bin", "p/deep/b.bin"]
    assert keys(tree / "deep", tree / "a.bin", output="s3://bucket/p") == ["p/a.bin", "p/b.bin"]
    assert keys(tree, f"{tree}/*.bin") == ["p/.hidden", "p/a.bin", "p/deep/b.bin"]


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_folder_is_a_destination_too(tree, tmp_path, prefix):
    place = select([str(tree / "a.bin")], f"{prefix}{tmp_path}/new.bin", UploadOptions())
    assert (place.destination, place.files[0].key) == (Destination("file", str(tmp_path)), "new.bin")

    below = select([str(tree)], f"{prefix}{tmp_path}/out", UploadOptions())
    assert below.destination == Destination("file", f"{tmp_path}/out")


def test_links_are_followed_only_where_they_are_named_themselves(tree):
    (tree / "link").symlink_to(tree / "a.bin")
    (tree / "folder").symlink_to(tree / "deep")

    found = select([str(tree)], "s3://bucket/", UploadOptions())
    assert [Path(link).name for link in found.links] == ["folder", "link"]
    assert keys(tree / "link") == ["p/link"]
    assert keys(tree / "folder") == ["p/b.bin"]


def test_pipes_sockets_and_devices_are_refused_by_name(tree):
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tree / "socket"))

    found = select([str(tree), "/dev/null"], "s3://bucket/", UploadOptions())

    assert {error.part.rsplit("/", 1)[-1]: error.reason for error in found.errors} == {
        "pipe": "this is a pipe", "socket": "this is a socket", "null": "this is a device",
    }  # fmt: skip
    assert len(found.files) == 3


def test_what_unfinished_uploads_into_a_folder_leave_is_not_sent(tree):
    left = tree / ".0123.4567.anabranch-upload"
    left.mkdir()
    (left / "data").write_bytes(b"x")

    assert keys(tree) == ["p/.hidden", "p/a.bin", "p/deep/b.bin"]


@pytest.mark.parametrize(("source", "output", "code"), [
    ("missing", "s3://bucket/", "source-missing"), ("*.none", "s3://bucket/", "source-missing"),
    ("a.bin", "s3://", "destination-scheme"), ("a.bin", "ftp://host/", "destination-scheme"),
])  # fmt: skip
def test_what_names_nothing_is_refused(tree, source, output, code):
    with pytest.raises(UsageError) as caught:
        keys(tree / source, output=output)

    assert caught.value.code == code


def test_a_sparse_file_is_known_by_what_is_held_of_it(tree):
    with (tree / "sparse").open("wb") as file:
        file.truncate(1 << 20)

    (found,) = select([str(tree / "sparse")], "s3://bucket/", UploadOptions()).files

    assert found.held < found.stamp.size == 1 << 20
