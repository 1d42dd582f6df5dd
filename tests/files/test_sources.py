import functools
import gzip
import os
import re
import socket
import threading
import zipfile
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from anabranch.core.errors import SourceError, TemporaryError, UsageError
from anabranch.core.outputs import QUARANTINE, RECORD
from anabranch.files.manifest import Entry, Record, left_by_runs, write_record
from anabranch.files.options import ConvertOptions
from anabranch.sources import codecs
from anabranch.sources.finding import find, labelled, require_unchanged
from tests import ordinary
from tests.files.converting import convert
from tests.files.small import small_scale


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"a\n1\n")


def names(folder, *sources, output=None):
    """Name the files that were found, relative to the folder."""
    found = find([str(folder / source) for source in sources], leave_out=left_by_runs(output and str(folder / output)))
    return [os.path.relpath(source.path, folder) for source in found.sources]


def test_a_folder_gives_every_file_below_it_by_path_but_hidden_ones(tmp_path):
    touch(tmp_path, "b.csv", "a/z.jsonl", "a.csv", "a/.hidden", ".git/x.csv", "notes")

    assert names(tmp_path, "") == ["a/z.jsonl", "a.csv", "b.csv", "notes"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a.csv"]),
        ("**/*.csv", ["a.csv", "x/b.csv", "x/y/c.csv"]),
        ("x/**", ["x/b.csv", "x/y/c.csv"]),
        ("**/y/*", ["x/y/c.csv"]),
        ("x/*/c.csv", ["x/y/c.csv"]),
        ("*/b.[a-c]sv", ["x/b.csv"]),
        ("**/.*.csv", [".h.csv"]),
        ("*.parquet", []),
        ("**/**/c.csv", ["x/y/c.csv"]),
    ],
)
def test_a_pattern_gives_the_files_that_fit(pattern, expected, tmp_path):
    touch(tmp_path, "a.csv", "x/b.csv", "x/y/c.csv", ".h.csv", ".git/d.csv")

    assert names(tmp_path, pattern) == expected


def test_arguments_keep_their_order_and_each_file_counts_once(tmp_path):
    touch(tmp_path, "a.csv", "b.csv", "sub/c.csv")
    (tmp_path / "link").symlink_to("sub")
    (tmp_path / "latest.csv").symlink_to("a.csv")

    assert names(tmp_path, "b.csv", "sub/../a.csv", "link/c.csv", "") == ["b.csv", "a.csv", "link/c.csv", "latest.csv"]


def test_relative_paths_and_file_urls_are_local_files(tmp_path, monkeypatch):
    touch(tmp_path / "[x]", "a.csv")
    monkeypatch.chdir(tmp_path / "[x]")

    for source in ("a.csv", "./a.csv", "*.csv", ".", f"file://{tmp_path}/[x]/a.csv"):
        assert [one.path for one in find([source]).sources] == [str(tmp_path / "[x]" / "a.csv")]


def test_a_name_with_brackets_may_be_a_file(tmp_path):
    touch(tmp_path, "a[1].csv", "a1.csv")

    assert names(tmp_path, "a[1].csv") == ["a[1].csv"]


def test_each_source_knows_its_folder_below_the_one_that_was_named(tmp_path):
    touch(tmp_path, "in/a.csv", "in/2025/01/b.csv")

    for pattern in ("in", "in/**/*.csv"):
        assert [one.parent for one in find([str(tmp_path / pattern)]).sources] == ["2025/01", ""]
    assert [one.parent for one in find([str(tmp_path / "in/2025/01/b.csv")]).sources] == [""]


def test_labels_are_as_short_as_they_can_be_told_apart():
    assert labelled(["/x/a.csv", "/x/1/b.csv", "/y/1/b.csv", "/x/2/b.csv", "/b"]) == [
        "a.csv",
        "x/1/b.csv",
        "y/1/b.csv",
        "2/b.csv",
        "b",
    ]
    assert labelled(["http://h/a.csv?key=1", "http://h/a.csv?key=2"]) == ["http://h/a.csv (1)", "http://h/a.csv (2)"]
    assert labelled([]) == []


def test_what_cannot_be_read_is_reported_by_path_and_the_rest_is_found(tmp_path):
    touch(tmp_path, "a.csv", "sub/b.csv")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "sub/up").symlink_to("..")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / RECORD)

    found = find([str(tmp_path)])

    assert [source.label for source in found.sources] == ["a.csv", "b.csv"]
    assert {(Path(error.part).name, error.code, error.reason) for error in found.errors} == {
        ("gone", "source-unreadable", "No such file or directory"),
        ("pipe", "source-not-a-file", "this is neither a file nor a folder"),
        (RECORD, "source-not-a-file", "this is neither a file nor a folder"),
        ("self", "source-unreadable", "Too many levels of symbolic links"),
        ("up", "source-unreadable", "Too many levels of symbolic links"),
    }


def test_a_named_device_is_reported_and_the_rest_is_found(tmp_path):
    touch(tmp_path, "a.csv")

    found = find(["/dev/null", str(tmp_path / "a.csv")])

    assert [error.code for error in found.errors] == ["source-not-a-file"]
    assert [source.label for source in found.sources] == ["a.csv"]


def test_a_file_and_a_folder_without_permission_are_reported():
    with ordinary.folder() as folder:
        touch(folder, "a.csv", "secret.csv", "locked/b.csv")
        with ordinary.closed(folder / "secret.csv", folder / "locked"):
            found = find([str(folder)])

    assert [source.label for source in found.sources] == ["a.csv"]
    assert {Path(error.part).name: error.reason for error in found.errors} == {
        "locked": "Permission denied",
        "secret.csv": "Permission denied",
    }


@pytest.mark.parametrize("source", ["closed", "closed/a.csv", "closed/none.csv", "closed/*.csv", "closed/deep/*.csv"])
def test_a_source_in_a_folder_that_may_not_be_entered_is_reported_and_the_rest_is_found(source):
    with ordinary.folder() as folder:
        touch(folder, "a.csv", "closed/a.csv", "closed/deep/a.csv")
        with ordinary.closed(folder / "closed"):
            found = find([str(folder / source), str(folder / "a.csv")])

    assert [(error.code, error.reason) for error in found.errors] == [("source-unreadable", "Permission denied")]
    assert [source.path for source in found.sources] == [str(folder / "a.csv")]


@pytest.mark.parametrize("source", ["none.csv", "none/*.csv", "none/**"])
def test_what_is_not_there_is_refused(source, tmp_path):
    with pytest.raises(UsageError) as refused:
        find([str(tmp_path / source)])
    assert refused.value.code == "source-missing"


def test_no_name_is_not_this_folder():
    with pytest.raises(UsageError, match="source-missing"):
        find([""])


@pytest.mark.parametrize("source", ["", "**/*", "*/*"])
def test_an_output_folder_below_the_sources_is_left_out_unless_named(source, tmp_path):
    touch(tmp_path, "in/a.csv", "out/a.parquet", "out/deep/b.parquet")
    (tmp_path / "way").symlink_to("out")

    assert names(tmp_path, source, output="out") == ["in/a.csv"]
    assert names(tmp_path, source, "out/a.parquet", output="way") == ["in/a.csv", "out/a.parquet"]


def test_a_combined_output_among_the_sources_is_left_out(tmp_path):
    touch(tmp_path, "a.csv", "all.csv")

    assert names(tmp_path, "*.csv", output="all.csv") == ["a.csv"]


def test_an_output_above_or_beside_the_sources_leaves_none_out(tmp_path):
    touch(tmp_path, "in/a.csv", "in.parquet")

    for output in (".", "in.d", "in.parquet", "in"):
        assert names(tmp_path, "in", output=output) == ["in/a.csv"]


def test_records_of_runs_are_left_out_and_other_files_of_that_name_are_not(tmp_path):
    touch(tmp_path, "a.csv", f"a.parquet{QUARANTINE}", "theirs/manifest.json")
    write_record(tmp_path / RECORD, ConvertOptions(), [], [])
    write_record(tmp_path / f"all.csv.{RECORD}", ConvertOptions(combine=True), [], [])

    assert names(tmp_path, "") == ["a.csv", "theirs/manifest.json"]


def test_outputs_of_an_earlier_run_in_the_same_folder_are_no_sources_as_long_as_they_stand(tmp_path):
    touch(tmp_path, "a.csv", "a.parquet", "b.parquet")
    empty = {"key": "", "rows": 1, "columns": [], "quarantine": None, "sources": []}
    entries = [
        Entry(output=str(tmp_path / name), size=4, modified_ns=modified, **empty)
        for name, modified in [("a.parquet", (tmp_path / "a.parquet").stat().st_mtime_ns), ("b.parquet", 1)]
    ]
    (tmp_path / RECORD).write_text(Record(outputs=entries[:1], earlier=entries[1:]).model_dump_json())

    assert names(tmp_path, "*.*", output=".") == ["a.csv", "b.parquet", RECORD]


def test_a_changed_file_is_noticed(tmp_path):
    touch(tmp_path, "a.csv", "b.csv")
    first, second = find([str(tmp_path)]).sources
    require_unchanged(first)
    status = (tmp_path / "a.csv").stat()

    (tmp_path / "a.csv").write_bytes(b"a\n2\n")
    os.utime(tmp_path / "a.csv", ns=(status.st_atime_ns, status.st_mtime_ns))  # which does not hide it
    (tmp_path / "b.csv").unlink()

    for source in (first, second):
        with pytest.raises(SourceError) as refused:
            require_unchanged(source)
        assert (refused.value.code, refused.value.part) == ("source-changed", source.label)


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    for name in ("a.csv", "x/b.csv", "x/.hidden", "y/c.jsonl"):
        system.pipe(f"/bucket/{name}", b"a\n1\n")
    yield system
    system.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://bucket", [("a.csv", ""), ("b.csv", "x"), ("c.jsonl", "y")]),
        ("memory://bucket/", [("a.csv", ""), ("b.csv", "x"), ("c.jsonl", "y")]),
        ("memory://bucket/**/*.csv", [("a.csv", ""), ("b.csv", "x")]),
        ("memory://bucket/x/b.csv", [("b.csv", "")]),
        ("memory://bucket/*.none", []),
    ],
)
def test_urls_mean_files_folders_and_patterns(url, expected, memory):
    found = find([url])

    assert [(source.label, source.parent) for source in found.sources] == expected
    for source in found.sources:
        require_unchanged(source)
        with codecs.open_source(source) as file:
            assert file.read() == b"a\n1\n"
            assert file.seek(2) == 2
            assert file.read(1) == b"1"


@pytest.mark.parametrize("cache", ["", "simplecache::"])
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("zip://x/b.csv.gz", [("b.csv.gz", "")]),
        ("zip://", [("a.csv", ""), ("b.csv.gz", "x")]),
        ("zip://*.csv", [("a.csv", "")]),
        ("zip://x/*", [("b.csv.gz", "")]),
        ("zip://x", [("b.csv.gz", "")]),
    ],
)
def test_files_within_an_archive_go_by_their_own_names(cache, url, expected, tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a.csv", "id\n1\n")
        archive.writestr("x/b.csv.gz", gzip.compress(b"id\n1\n"))
    chain = f"{cache}{url}::{tmp_path}/z.zip"

    assert [(source.label, source.parent) for source in find([chain]).sources] == expected
    report = convert([chain], tmp_path / "out", work_dir=tmp_path / "work")
    assert [Path(output).name for output in report.outputs] == [
        f"{label.partition('.')[0]}.parquet" for label, _ in expected
    ]


def test_the_root_of_a_file_system_is_a_folder(memory):
    assert "memory://bucket/x/b.csv" in [source.path for source in find(["memory://"]).sources]


def test_a_changed_or_vanished_remote_file_is_noticed(memory):
    first, second, _ = find(["memory://bucket"]).sources

    memory.pipe("/bucket/a.csv", b"a\n2\n")
    memory.rm("/bucket/x/b.csv")

    for source in (first, second):
        with pytest.raises(SourceError, match="source-changed"):
            require_unchanged(source)


@pytest.mark.parametrize(
    ("url", "code", "word"),
    [
        ("s3://user:p@pass@bucket/a.csv", "protocol-missing", "pip install 's3fs'"),
        ("smb://user:pass@host/a.csv", "protocol-missing", "pip install 'fsspec[smb]'"),
        ("nix://user:pass@host/a.csv", "protocol-unknown", "nix"),
        ("memory://user:pass@none/a.csv?pass=pass", "source-missing", "URL"),
    ],
)
def test_urls_that_cannot_be_are_refused_without_their_credentials(url, code, word):
    with pytest.raises(UsageError) as refused:
        find([url])

    assert refused.value.code == code
    assert word in str(refused.value)
    assert "pass@" not in str(refused.value)
    assert "user" not in str(refused.value)


class Server(SimpleHTTPRequestHandler):
    """Serve a folder; single ranges of a file when `ranges` is set; how long a file is, unless `lengths` is not."""

    ranges = False
    lengths = True

    def send_header(self, keyword, value):
        if self.lengths or keyword != "Content-Length":
            super().send_header(keyword, value)

    def do_GET(self):
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not (self.ranges and wanted):
            return super().do_GET()
        data = Path(self.translate_path(self.path)).read_bytes()
        first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        return self.wfile.write(data[first : last + 1])

    def log_message(self, *_):
        pass


@contextmanager
def served(folder, *, ranges=False, lengths=True):
    handler = type("Handler", (Server,), {"ranges": ranges, "lengths": lengths})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://user:secret@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("ranges", [False, True])
def test_files_are_read_by_http(ranges, tmp_path):
    touch(tmp_path, "a.csv", "sub/b.csv", "sub/c.txt")

    with served(tmp_path, ranges=ranges) as url:
        found = find([f"{url}/a.csv", f"{url}/sub/*.csv", f"{url}/sub/"])

        assert [source.label for source in found.sources] == ["a.csv", "b.csv", "c.txt"]
        for source in found.sources:
            require_unchanged(source)
            with codecs.open_source(source) as file:
                assert file.read() == b"a\n1\n"
                assert file.seek(2) == 2
                assert file.read() == b"1\n"
        (tmp_path / "a.csv").write_bytes(b"other\n")
        (tmp_path / "sub/b.csv").unlink()
        for source in found.sources[:2]:
            with pytest.raises(SourceError, match="source-changed"):
                require_unchanged(source)


@pytest.mark.parametrize("ranges", [False, True])
def test_any_place_of_a_big_file_is_read_by_http(ranges, tmp_path):
    data = b"".join(b"%07d\n" % row for row in range(800_000))  # more than fsspec asks for at once
    (tmp_path / "big.csv").write_bytes(data)

    with served(tmp_path, ranges=ranges) as url:
        (source,) = find([f"{url}/big.csv"]).sources
        with codecs.open_source(source) as file:
            assert file.read(16) == data[:16]
            assert file.seek(6_000_000) == 6_000_000
            assert file.read() == data[6_000_000:]
            file.seek(8)
            assert file.read(8) == data[8:16]


def test_any_place_is_read_from_a_server_that_does_not_tell_the_length(tmp_path):
    content = bytes(range(256)) * 20_000
    (tmp_path / "a.dat").write_bytes(content)

    with served(tmp_path, lengths=False) as url:
        (source,) = find([f"{url}/a.dat"]).sources
        with codecs.open_source(source) as file:
            assert file.read(1000) == content[:1000]
            assert file.seek(0) == 0
            assert file.read() == content
            assert file.seek(4_000_001) == 4_000_001
            assert file.read(100) == content[4_000_001:4_000_101]


@pytest.mark.parametrize(("name", "line"), [("a.csv", b"%d\n"), ("a.jsonl", b'{"id": %d}\n')])
def test_no_row_is_lost_where_a_server_does_not_tell_the_length(name, line, tmp_path):
    (tmp_path / "in").mkdir()
    content = b"".join(map(line.__mod__, range(1000)))
    (tmp_path / "in" / name).write_bytes(b"id\n" * name.endswith("csv") + content)

    with served(tmp_path / "in", lengths=False) as url, small_scale():
        convert([f"{url}/{name}"], tmp_path / "out", work_dir=tmp_path / "work")

    assert pq.read_table(tmp_path / "out/a.parquet")["id"].to_pylist() == list(range(1000))


def test_a_server_that_does_not_answer_is_reported_without_the_credentials(tmp_path):
    touch(tmp_path, "a.csv")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and no program listens
        url = f"http://user:secret@127.0.0.1:{held.getsockname()[1]}/a.csv?sign=secret"

        found = find([url, str(tmp_path)])

    assert [source.label for source in found.sources] == ["a.csv"]
    assert [error.code for error in found.errors] == ["source-unreachable"]
    assert "secret" not in str(found.errors)


def test_a_server_that_goes_away_is_worth_another_try(tmp_path):
    touch(tmp_path, "a.csv")
    with served(tmp_path, ranges=True) as url:
        (source,) = find([f"{url}/a.csv"]).sources
        file = codecs.open_source(source)

    with file, pytest.raises(TemporaryError, match=r"a\.csv.*source-unreachable") as failed:
        file.read()
    assert "secret" not in str(failed.value)
