"""Extract as the flow does, with threads in place of tasks; read what was written."""

import csv

from anabranch.core.here import on_threads
from anabranch.core.parts import Job
from anabranch.photos.options import PhotoOptions
from anabranch.photos.reading import Reader
from anabranch.photos.way import way


def extract(source, output, work_dir, *, threads=2, refresh=False, **options):
    sources = [str(source)] if not isinstance(source, list) else source
    job = Job(sources, str(output), PhotoOptions(**options), work_dir, threads, refresh)
    return way(job, on_threads(threads))


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read(data, **options):
    """Read a photo from memory; return the reader at its end."""
    reader = Reader(len(data), **options)
    while reader.wanted is not None:
        offset, length = reader.wanted
        part = data[offset : offset + length]
        reader.feed(part, ended=len(part) < length)
    return reader


def facts(data, **options):
    return read(data, **options).facts


def access(server):
    """Options that log in to a server of the tests."""
    return {"host_key": server.fingerprint} | ({"key_file": str(server.key)} if hasattr(server, "folder") else {})
