"""Photos at URLs: ranges of them by HTTP and by any other file system of fsspec, and what a server may do meanwhile."""

import functools
import re
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import fsspec
import pytest

from anabranch.core.errors import UsageError
from anabranch.photos import sample
from tests.photos.extracting import extract, rows


class Server(SimpleHTTPRequestHandler):
    """Serve a folder with its listings, and ranges of files; answer with an error where `faults` has one left."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet, or each answer waits 40 ms for the first one's receipt
    ranges = True

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted and self.faults.get(name):
            self.send_error(self.faults[name].pop(0))
            return
        if not (wanted and self.ranges):
            super().do_GET()
            return
        data = Path(self.translate_path(self.path)).read_bytes()
        part = data[int(wanted[1]) : int(wanted[2]) + 1]
        self.sent.update(requests=1, bytes=len(part))
        self.send_response(206 if part else 416)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


class Queued(ThreadingHTTPServer):
    request_queue_size = 256  # connections that are made at once; those beyond are refused, and tried again after 1 s


@contextmanager
def served(folder, **settings):
    handler = type("Handler", (Server,), {"faults": {}, "sent": Counter(), **settings})
    server = Queued(("127.0.0.1", 0), functools.partial(handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos in all containers, 300 KB each, and the table of their folder."""
    folder = tmp_path_factory.mktemp("photos")
    sample.write_photos(folder / "in", 40, kinds=tuple(sample.CONTAINERS), without=3, size=300_000)
    (folder / "in" / "homes" / "note.txt").write_text("no photo")
    first = min((folder / "in").rglob("*.JPG"))
    first.rename(first.with_name("a blank é.jpg"))
    extract(folder / "in", folder / "p.csv", folder / "work")
    return folder / "in", rows(folder / "p.csv")


def plain(table, start):
    """Write the columns that tell where a photo was read in the same way for all places."""
    return [row | {name: unquote(row[name].removeprefix(start)) for name in ("path", "folder")} for row in table]


@pytest.mark.parametrize("ranges", [True, False])
def test_the_table_is_the_same_by_http_as_from_the_folder_and_a_second_run_reads_nothing(ranges, photos, tmp_path):
    folder, table = photos
    with served(folder, ranges=ranges) as (url, server):
        first = extract(url, tmp_path / "p.csv", tmp_path / "work")
        again = extract(url, tmp_path / "q.csv", tmp_path / "work", threads=1)

    assert plain(rows(tmp_path / "p.csv"), url) == plain(table, f"{folder}/")
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "q.csv").read_bytes()
    assert (first.items["read"], again.items["read"], again.items["known"]) == (40, 0, 40)
    if ranges:
        assert server.sent["bytes"] == first.bytes_in < 40 * 40_000


def test_what_a_server_refuses_or_loses_is_the_photos_own_and_what_fails_once_is_asked_for_again(photos, tmp_path):
    folder, table = photos
    names = [row["name"] for row in table if row["status"] == "ok"][:4]
    gone, refused, broken, flaky = names
    with served(folder, faults={gone: [404], refused: [403], broken: [500] * 9, flaky: [503]}) as (url, _):
        report = extract(url, tmp_path / "p.csv", tmp_path / "work", threads=1)
        after = extract(url, tmp_path / "p.csv", tmp_path / "work", threads=1)

    found = {row["name"]: row for row in rows(tmp_path / "p.csv")}
    assert (report.items["ok"], report.items["vanished"], report.items["unreadable"]) == (34, 1, 2)
    assert (after.items["read"], after.items["unreadable"]) == (3, 1)  # what the server refused is asked for again
    assert found[broken]["reason"].startswith("the server does not give it: ")
    assert report.errors == []


def test_a_server_that_fails_for_good_ends_the_part_and_writes_no_table(photos, tmp_path):
    folder, table = photos
    faults = {row["name"]: [500] * 9 for row in table}
    with served(folder, faults=faults) as (url, _):
        report = extract(url, tmp_path / "p.csv", tmp_path / "work", threads=1)

    assert [error.code for error in report.errors] == ["source-unreachable"]
    assert not (tmp_path / "p.csv").exists()


@pytest.fixture
def memory(photos):
    system = fsspec.filesystem("memory")
    system.put(f"{photos[0]}/", "/site/", recursive=True)
    yield "memory://site/"
    system.rm("/site", recursive=True)


def test_any_protocol_of_fsspec_will_do(memory, photos, tmp_path):
    _, table = photos
    report = extract(memory, tmp_path / "p.csv", tmp_path / "work")
    shallow = extract(memory, tmp_path / "q.csv", tmp_path / "work", depth=1)

    fields = ("name", "status", "lat", "lon", "taken", "site", "pilot", "size")
    assert [[row[name] for name in fields] for row in rows(tmp_path / "p.csv")] == [
        [row[name] for name in fields] for row in table
    ]
    assert report.items["folders"] == len({row["folder"] for row in table})
    assert shallow.items["photos"] == 0
    assert "more than 1 folders deep" in shallow.warnings[0]


def test_a_protocol_that_is_unknown_or_not_installed_is_refused(tmp_path):
    for url, code in (("gopher://host/x/", "protocol-unknown"), ("s3://bucket/x/", "protocol-missing")):
        with pytest.raises(UsageError) as error:
            extract(url, tmp_path / "p.csv", tmp_path / "work")
        assert error.value.code == code
