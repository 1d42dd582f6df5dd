"""The contract of a store that takes parts in any order, held against every store of that kind."""

import hashlib
import inspect
import os
from dataclasses import dataclass
from importlib import import_module

import pytest

from anabranch.uploads.ranges import RangeFile, summed
from anabranch.uploads.stores import opening
from anabranch.uploads.stores.base import (
    ChecksumRefusedError,
    Destination,
    ExistsError,
    ParallelStore,
    SequentialStore,
    Sum,
    UploadGoneError,
)
from anabranch.uploads.stores.opening import open_store
from anabranch.uploads.tags import file_tag, joined_tag
from tests.uploads import servers
from tests.uploads.conftest import new_bucket
from tests.uploads.token_door import TOKEN

PART = 64 << 10


@dataclass
class Place:
    """A store, and how others read what is in it."""

    store: object
    read: object
    keys: object


@pytest.fixture(
    params=[
        "file",
        "s3",
        "sftp",
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("juicefs", "ministack", "az")),
    ]
)
def place(request, tmp_path, monkeypatch):
    if request.param in ("file", "sftp"):
        folder = tmp_path / "store"
        folder.mkdir()

        def keys():
            return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

        named = Destination("file", str(folder))
        if request.param == "sftp":
            named = request.getfixturevalue("sftp").destination(folder)
        return Place(open_store(named), lambda key: (folder / key).read_bytes(), keys)
    if request.param == "az":
        container = request.getfixturevalue("container")
        return Place(open_store(container.destination), container.read, container.keys)
    server = request.getfixturevalue(request.param if request.param in ("juicefs", "ministack") else "swift")
    bucket = new_bucket(server, monkeypatch)
    if request.param == "gs":
        monkeypatch.setenv("OURS_ACCESS_KEY_ID", servers.KEY)
        monkeypatch.setenv("OURS_SECRET_ACCESS_KEY", server.secret)
        named = Destination("gs", bucket.name, server.endpoint, "env:OURS")
        return Place(open_store(named), bucket.read, bucket.keys)
    if request.param == "gs tokens":
        monkeypatch.setenv("OURS_ACCESS_TOKEN", TOKEN)
        door = request.getfixturevalue("door")
        return Place(open_store(Destination("gs", bucket.name, door.endpoint, "env:OURS")), bucket.read, bucket.keys)
    return Place(open_store(bucket.destination), bucket.read, bucket.keys)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "source.bin"
    path.write_bytes(os.urandom(2 * PART + 1000))
    return path


def put(store, upload, file, number, size=PART):
    offset = (number - 1) * size
    with RangeFile(str(file), offset, min(size, file.stat().st_size - offset)) as body:
        return store.put_part(upload, number, offset, body, summed(body))


def test_parts_in_any_order_make_the_object(place, file):
    upload = place.store.create("a/b ü+&%.bin")
    parts = sorted((put(place.store, upload, file, number) for number in (3, 1, 2)), key=lambda part: part.number)

    listed = place.store.list_parts(upload)
    assert [(part.number, part.size, part.md5) for part in listed] == [(p.number, p.size, p.md5) for p in parts]
    assert [part.number for part in place.store.list_parts(upload, range(2, 4)) if part.number in (2, 3)] == [2, 3]
    assert place.store.head("a/b ü+&%.bin") is None

    made = place.store.complete(upload, listed, new=False)

    assert place.read("a/b ü+&%.bin") == file.read_bytes()
    assert made.etag == joined_tag([part.md5 for part in parts]) == file_tag(str(file), file.stat().st_size, PART, bool)
    assert place.store.head("a/b ü+&%.bin").size == file.stat().st_size
    assert place.keys() == ["a/b ü+&%.bin"]


def test_a_part_may_be_sent_again_and_the_last_one_counts(place, file, tmp_path):
    other = tmp_path / "other.bin"
    other.write_bytes(os.urandom(PART))
    upload = place.store.create("key")
    put(place.store, upload, other, 1)
    parts = [put(place.store, upload, file, number) for number in (1, 2, 3)]

    place.store.complete(upload, parts, new=False)

    assert place.read("key") == file.read_bytes()


def test_a_part_that_is_not_what_was_summed_is_refused(place, file):
    upload = place.store.create("key")
    with RangeFile(str(file), 0, PART) as body:
        right = summed(body)
    with RangeFile(str(file), PART, PART) as body, pytest.raises(ChecksumRefusedError):
        place.store.put_part(upload, 1, 0, body, right)

    put(place.store, upload, file, 1)
    place.store.abort(upload)


def test_unfinished_uploads_are_listed_newest_first_and_go_when_they_are_aborted(place, file, request):
    if "az" in request.node.callspec.id:
        pytest.skip("Azure has one set of blocks for each name, and knows no upload without any: see test_azure")
    first, second = place.store.create("key"), place.store.create("key")
    place.store.create("key2")
    put(place.store, second, file, 1)

    listed = [upload.id for upload, _ in place.store.list_uploads("key") if upload.key == "key"]
    assert set(listed) == {first.id, second.id}
    place.store.abort(first)
    place.store.abort(first)
    assert [upload.id for upload, _ in place.store.list_uploads("key") if upload.key == "key"] == [second.id]
    place.store.abort(second)

    with pytest.raises(UploadGoneError):
        place.store.list_parts(second)
    with pytest.raises(UploadGoneError):
        put(place.store, second, file, 1)


def test_an_object_that_exists_is_not_replaced_when_a_new_one_is_asked_for(place, file, request):
    if "juicefs" in request.node.callspec.id:
        pytest.skip("the gateway ignores conditions")
    upload, small = place.store.create("key"), Sum(3, hashlib.md5(b"old").hexdigest(), "")
    source = file.with_name("small")
    source.write_bytes(b"old")
    with RangeFile(str(source), 0, 3) as body:
        small = summed(body)
        place.store.put("key", body, small, new=True)
        body.seek(0)
        with pytest.raises(ExistsError):
            place.store.put("key", body, small, new=True)
    parts = [put(place.store, upload, file, number) for number in (1, 2, 3)]
    with pytest.raises(ExistsError):
        place.store.complete(upload, parts, new=True)

    assert place.read("key") == b"old"
    place.store.complete(upload, parts, new=False)
    assert place.read("key") == file.read_bytes()


def test_an_object_that_is_new_is_made_where_a_new_one_is_asked_for(place, file):
    upload = place.store.create("key")
    parts = [put(place.store, upload, file, number) for number in (1, 2, 3)]

    place.store.complete(upload, parts, new=True)

    assert place.read("key") == file.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_small_objects_are_put_at_once_and_known_again(place, tmp_path, size):
    source = tmp_path / "small"
    source.write_bytes(os.urandom(size))
    with RangeFile(str(source), 0, size) as body:
        place.store.put("small", body, summed(body), new=False)

    head = place.store.head("small")
    assert place.read("small") == source.read_bytes()
    assert head.size == size
    assert place.store.same("small", head, str(source), PART, bool)
    source.write_bytes(os.urandom(size + 1)[:-1] if size else b"x")
    assert size == 0 or not place.store.same("small", head, str(source), PART, bool)


def test_a_listing_tells_which_objects_are_absent(place, tmp_path):
    source = tmp_path / "small"
    source.write_bytes(b"x")
    for key in ("p/b", "p/d/e"):
        with RangeFile(str(source), 0, 1) as body:
            place.store.put(key, body, summed(body), new=False)

    assert place.store.absent(["p/b", "p/c", "p/d/e", "p/z"]) == {"p/c", "p/z"}
    assert place.store.absent(["a"]) == {"a"}


def test_what_is_sent_is_read_no_more_than_once_beside_its_sums(place, tmp_path):
    source = tmp_path / "small"
    source.write_bytes(os.urandom(100_000))
    with Counted(str(source), 0, 100_000) as body:
        total = summed(body)
        place.store.put("small", body, total, new=False)

    assert body.count == 2 * 100_000


@pytest.mark.parametrize(("size", "asks"), [(1, False), (1 << 20, False), ((1 << 20) + 1, True)])
def test_a_small_object_is_sent_to_s3_without_asking_first(bucket, tmp_path, size, asks):
    store, seen = open_store(bucket.destination), []
    source = tmp_path / "small"
    source.write_bytes(bytes(size))

    def see(request, **_):
        seen.append("Expect" in request.headers)

    store.client().meta.events.register_last("before-send.s3.PutObject", see)
    try:
        with RangeFile(str(source), 0, size) as body:
            store.put("small", body, summed(body), new=False)
    finally:
        store.client().meta.events.unregister("before-send.s3.PutObject", see)

    assert seen == [asks]


class Counted(RangeFile):
    count = 0

    def read(self, size=-1, /):
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.mark.parametrize("kind", sorted(opening._STORES))
def test_each_store_takes_what_its_interface_names(kind):
    module, name = opening._STORES[kind].split(":")
    store = getattr(import_module(module), name)
    interface = SequentialStore if store.in_order else ParallelStore

    for method, wanted in inspect.getmembers(interface, inspect.isfunction):
        if not method.startswith("_"):
            assert [*inspect.signature(getattr(store, method)).parameters] == [*inspect.signature(wanted).parameters]
