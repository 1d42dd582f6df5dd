"""Time extract-gps beside what people use now, on the same photos, over the same wire, in the same run.

    python -m benchmarks.photos --photos 600 2400 --round-trips 0 20 80 --write

A real OpenSSH server on loopback; between it and the clients is a wire with a delay (benchmarks.delaying). The
photos have five megabytes each, nearly all of them a hole. Slow rows read a share of the photos, spread over all; their
rate is per photo, once they are connected. "Right" compares with what the photos were made of. The two rows of paramiko
read the first 64 KB of each photo over its own SFTP client, as scripts do, and are given our parser. The engine is our
reading alone, as theirs; the row below adds connecting, listing, and the table.
"""

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from anabranch.core.here import on_threads
from anabranch.core.parts import Job
from anabranch.photos import sample
from anabranch.photos.fetching import WINDOW
from anabranch.photos.options import PhotoOptions
from anabranch.photos.reading import Reader
from anabranch.photos.sample import Shot
from anabranch.photos.way import preview, way
from benchmarks.logs import server as prefect_server
from benchmarks.measure import machine, table, write_section
from benchmarks.photos_wire import Wire, delayed
from tests import sshd

# of a hundred photos; as the mix that a survey of real drones and cameras gave
MIX = {"jpeg": 72, "jpeg_notes": 7, "jpeg_profile": 7, "tiff": 5, "dng": 4, "heic": 3, "png": 2}
SIZE = 5_000_000
PREFIX = 64 << 10
SLOW_SECONDS = 12  # that a slow row may take; it reads as many photos as that allows, by the round trips
ROUND_TRIPS = {
    "paramiko, sequential": 6.0,
    "paramiko, 4 connections": 1.5,
    "sshfs + exiftool": 12.0,
    "rclone mount + exiftool": 24.0,
}


def main() -> None:
    """Measure, print the tables; with --write keep them in docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, nargs="+", default=[600, 2400])
    parser.add_argument("--round-trips", type=int, nargs="+", default=[0, 20, 80], help="milliseconds")
    parser.add_argument("--scale", type=int, nargs="+", default=[1_000, 100_000], help="photos of the last table")
    parser.add_argument("--without-command", action="store_true", help="leave out the rows that need a Prefect server")
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/performance.md")
    arguments = parser.parse_args()
    os.environ.pop("PREFECT_API_URL", None)
    conditions = machine("paramiko", "asyncssh")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "sshd").mkdir()
        with (
            sshd.serving(folder / "sshd") as host,
            _maybe_server(folder / "state", wanted=not arguments.without_command),
        ):
            parts = []
            for count in arguments.photos:
                shots = sample.write_photos(folder / str(count), count, kinds=mix(), without=count // 60, size=SIZE)
                for delay in arguments.round_trips:
                    parts.append(section(folder, host, shots, delay, command=not arguments.without_command))
                    print(parts[-1], flush=True)
                parts.append(local(folder / str(count), shots))
                print(parts[-1], flush=True)
            parts.append(scale(folder, host, arguments.scale))
            print(parts[-1], flush=True)
            parts.append(listing(folder, host, arguments.round_trips))
            print(parts[-1], flush=True)
    if arguments.write:
        write_section("photos", page(parts, conditions))


@contextmanager
def _maybe_server(home: Path, *, wanted: bool) -> Iterator[None]:
    if wanted:
        with prefect_server(home):
            yield
    else:
        yield


def mix() -> list[str]:
    kinds = [kind for kind, share in MIX.items() for _ in range(share)]
    random.Random(1).shuffle(kinds)
    return kinds


class Row:
    """What one way did: photos tried, those that were right, seconds, and bytes where they are known."""

    def __init__(self, tried: int, right: int, seconds: float, read: float | None = None) -> None:
        self.tried, self.right, self.seconds, self.read = tried, right, seconds, read

    @property
    def rate(self) -> float:
        return self.tried / self.seconds


def section(folder: Path, host: sshd.Server, shots: dict[str, Shot], delay: int, *, command: bool) -> str:
    root = folder / str(len(shots))
    with delayed(host, delay, root) as wire:
        rows = {name: each(wire, some(shots, name, delay)) for name, each in WAYS.items() if possible(name)}
        for connections in (1, 4):
            name = f"ours, engine, {connections} connection{'s' * (connections > 1)}"
            rows[name], rows[f"{name}, with connecting, listing and the table"] = engine(wire, shots, connections)
        rows["ours, engine, 1 connection, --thin"], _ = engine(wire, shots, 1, thin=True)
        if command:
            rows["ours, whole command"] = whole(wire, shots)
    return f"### {len(shots):,} photos, {delay} ms round trip\n\n{tabled(rows, delay)}"


def tabled(rows: dict[str, Row], delay: int) -> str:
    base = rows.get("paramiko, 4 connections")
    lines = []
    for name, row in rows.items():
        limit = (
            f"{row.rate * delay / 1000 * 2.4 / WINDOW:.0%}"
            if delay and name.startswith("ours, engine, 1 connection") and "with" not in name
            else ""
        )
        lines.append([
            name, f"{row.rate:,.1f}", f"{row.rate / base.rate:.1f}x" if base else "",
            "" if row.read is None else f"{row.read / row.tried / 1000:.1f}", f"{row.right:,} of {row.tried:,}", limit,
        ])  # fmt: skip
    heads = ("way", "photos/s", "to 4 connections", "KB a photo", "right", f"of {WINDOW} / (2.4 round trips)")
    return table(heads, lines)


def possible(name: str) -> bool:
    programs = {"sshfs + exiftool": ("sshfs", "exiftool"), "rclone mount + exiftool": ("rclone", "exiftool")}
    return all(shutil.which(program) for program in programs.get(name, ()))


def some(shots: dict[str, Shot], name: str, delay: int) -> dict[str, Shot]:
    """Choose the photos that a slow row reads, the same mix as all."""
    seconds = max(ROUND_TRIPS.get(name, 0) * delay / 1000, 1e-3)
    count = min(len(shots), max(40, int(SLOW_SECONDS / seconds)))
    chosen = sorted(random.Random(2).sample(sorted(shots), count))
    return {path: shots[path] for path in chosen}


def is_right(shot: Shot, lat: float | None, lon: float | None) -> bool:
    if shot.lat is None or shot.lon is None:
        return lat is None
    return lat is not None and abs(lat - shot.lat) < 1e-7 and lon is not None and abs(lon - shot.lon) < 1e-7


def prefix(sftp, path: str) -> tuple[float | None, float | None, int]:
    """Read the first 64 KB of a photo, and what can be found in them, as scripts do."""
    with sftp.open(path, "rb") as file:
        data = file.read(PREFIX)
    reader = Reader(None)
    while reader.wanted is not None:
        offset, length = reader.wanted
        part = data[offset : offset + length]
        reader.feed(part, ended=len(part) < length)
    return reader.facts.lat, reader.facts.lon, len(data)


def sequential(wire: Wire, shots: dict[str, Shot]) -> Row:
    with wire.client() as client, client.open_sftp() as sftp:
        began = time.monotonic()
        found = {name: prefix(sftp, f"{wire.folder}/{name}") for name in shots}
        seconds = time.monotonic() - began
    return judged(shots, found, seconds)


def four_connections(wire: Wire, shots: dict[str, Shot]) -> Row:
    clients = [wire.client() for _ in range(4)]
    found, names = {}, list(shots)

    def read(index: int) -> None:
        sftp = clients[index].open_sftp()
        for name in names[index::4]:
            found[name] = prefix(sftp, f"{wire.folder}/{name}")

    began = time.monotonic()
    threads = [threading.Thread(target=read, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    for client in clients:
        client.close()
    return judged(shots, found, seconds)


def pipelined_asyncssh(wire: Wire, shots: dict[str, Shot]) -> Row:
    import asyncio

    import asyncssh

    found = {}

    async def read(sftp, gate, name: str) -> None:
        async with gate, sftp.open(f"{wire.folder}/{name}", "rb") as file:
            reader = Reader(None)
            while reader.wanted is not None:
                offset, length = reader.wanted
                data = await file.read(length, offset)
                reader.feed(data, ended=len(data) < length)
            found[name] = reader.facts.lat, reader.facts.lon, reader.bytes

    async def every() -> float:
        options = {"username": wire.host.user, "client_keys": [str(wire.host.key)], "known_hosts": None}
        async with asyncssh.connect("127.0.0.1", wire.port, **options) as client, client.start_sftp_client() as sftp:
            gate, began = asyncio.Semaphore(WINDOW), time.monotonic()
            await asyncio.gather(*(read(sftp, gate, name) for name in shots))
            return time.monotonic() - began

    return judged(shots, found, asyncio.run(every()))


def judged(shots: dict[str, Shot], found: dict[str, tuple[float | None, float | None, int]], seconds: float) -> Row:
    right = sum(is_right(shot, *found[name][:2]) for name, shot in shots.items())
    return Row(len(shots), right, seconds, sum(each[2] for each in found.values()))


def sshfs(wire: Wire, shots: dict[str, Shot]) -> Row:
    with tempfile.TemporaryDirectory() as name:
        options = f"IdentityFile={wire.host.key},StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,ro"
        target = f"{wire.host.user}@127.0.0.1:{wire.folder}"
        mount = ["sshfs", "-p", str(wire.port), "-o", options, target, name]
        subprocess.run(mount, check=True, capture_output=True)
        try:
            return exiftool(Path(name), shots)
        finally:
            subprocess.run(["fusermount", "-u", "-z", name], check=False)


def rclone(wire: Wire, shots: dict[str, Shot]) -> Row:
    remote = (
        f":sftp,host=127.0.0.1,port={wire.port},user={wire.host.user},key_file={wire.host.key},shell_type=unix,"
        f"disable_hashcheck=true:{wire.folder}"
    )
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["rclone", "mount", "--daemon", "--read-only", remote, name], check=True, capture_output=True)
        try:
            return exiftool(Path(name), shots)
        finally:
            subprocess.run(["fusermount", "-u", "-z", name], check=False)


def exiftool(folder: Path, shots: dict[str, Shot]) -> Row:
    command = ["exiftool", "-q", "-n", "-j", "-fast2", "-GPSLatitude", "-GPSLongitude", "-@", "-"]
    began = time.monotonic()
    names = "\n".join(f"{folder}/{name}" for name in shots)
    done = subprocess.run(command, input=names, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    found = {each["SourceFile"]: each for each in json.loads(done.stdout or "[]")}
    right = sum(
        is_right(shot, *(found.get(f"{folder}/{name}", {}).get(key) for key in ("GPSLatitude", "GPSLongitude")))
        for name, shot in shots.items()
    )
    return Row(len(shots), right, seconds)


WAYS = {
    "paramiko, sequential": sequential,
    "paramiko, 4 connections": four_connections,
    "asyncssh, pipelined": pipelined_asyncssh,
    "sshfs + exiftool": sshfs,
    "rclone mount + exiftool": rclone,
}


def engine(wire: Wire, shots: dict[str, Shot], connections: int, *, thin: bool = False) -> tuple[Row, Row]:
    """Extract without Prefect; return what the reading took, and what all of it took."""
    with tempfile.TemporaryDirectory() as folder:
        table_file = Path(folder) / "p.csv"
        options = PhotoOptions(**wire.access, connections=connections, thin=thin)
        reading = []

        def mapped(work, plan):
            began = time.monotonic()
            outcomes = on_threads(connections)(work, plan)
            reading.append(time.monotonic() - began)
            return outcomes

        began = time.monotonic()
        report = way(Job([wire.url()], str(table_file), options, Path(folder), connections), mapped)
        seconds = time.monotonic() - began
        right = right_rows(table_file, wire.folder, shots)
        return tuple(Row(len(shots), right, taken, report.bytes_in) for taken in (reading[0], seconds))


def whole(wire: Wire, shots: dict[str, Shot]) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        words = [wire.url(), "--output", f"{folder}/p.csv", "--work-dir", folder, "--connections", "4", "--quiet"]
        words += ["--host-key", wire.access["host_key"], "--key-file", wire.access["key_file"]]
        command = [sys.executable, "-m", "anabranch.command.cli", "extract-gps", *words]
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.monotonic() - began
        return Row(len(shots), right_rows(Path(folder) / "p.csv", wire.folder, shots), seconds)


def right_rows(table_file: Path, folder: Path, shots: dict[str, Shot]) -> int:
    right = 0
    with table_file.open(newline="") as file:
        for row in csv.DictReader(file):
            place = [float(row[name]) if row[name] else None for name in ("lat", "lon")]
            right += is_right(shots[row["path"].removeprefix(f"{folder}/")], *place)
    return right


def local(folder: Path, shots: dict[str, Shot]) -> str:
    """Measure a folder of this machine."""
    rows = {"exiftool -fast2": exiftool(folder, shots)} if shutil.which("exiftool") else {}
    with tempfile.TemporaryDirectory() as work:
        began = time.monotonic()
        job = Job([f"{folder}/homes"], f"{work}/p.csv", PhotoOptions(), Path(work), 2)
        report = way(job, on_threads(2))
        seconds = time.monotonic() - began
        right = right_rows(Path(work) / "p.csv", folder, shots)
        rows["ours, engine"] = Row(len(shots), right, seconds, report.bytes_in)
    return f"### {len(shots):,} photos in a folder of this machine\n\n{tabled(rows, 0)}"


def scale(folder: Path, host: sshd.Server, counts: Sequence[int], delay: int = 20) -> str:
    """Measure whether the rate holds for many photos: connecting, listing, reading and the table; then all again."""
    lines = []
    for count in counts:
        root = folder / f"scale-{count}"
        shots = sample.write_photos(root, count, kinds=mix(), without=count // 60, size=SIZE)
        with tempfile.TemporaryDirectory() as work, delayed(host, delay, root) as wire:
            options = PhotoOptions(**wire.access, connections=4)
            for name in ("first run", "again, all from the cache"):
                began = time.monotonic()
                report = way(Job([wire.url()], f"{work}/p.csv", options, Path(work), 4), on_threads(4))
                seconds = time.monotonic() - began
                right = right_rows(Path(work) / "p.csv", root, shots)
                lines.append([
                    f"{count:,} photos, {name}", f"{seconds:,.1f}", f"{count / seconds:,.0f}",
                    f"{report.bytes_in / count / 1000:.1f}", f"{right:,}",
                ])  # fmt: skip
        shutil.rmtree(root)
    heads = ("run", "s", "photos/s", "KB a photo", "right")
    title = f"Many photos, engine with 4 connections, {delay} ms round trip, from connecting to the table"
    return f"### {title}\n\n{table(heads, lines)}"


def listing(folder: Path, host: sshd.Server, delays: Sequence[int], folders: int = 1000, each: int = 100) -> str:
    """Measure how long the listing of many photos takes, with the plan of their reading."""
    root = folder / "listed"
    for number in range(folders):
        place = root / "homes" / f"site{number // 25:03}" / f"{number:04}"
        place.mkdir(parents=True)
        for photo in range(each):
            (place / f"DJI_{photo:04}.JPG").touch()
    lines = []
    for delay in delays:
        with tempfile.TemporaryDirectory() as work, delayed(host, delay, root) as wire:
            began = time.monotonic()
            found = preview(Job([wire.url()], None, PhotoOptions(**wire.access), Path(work), 4))
            seconds = time.monotonic() - began
            assert len(found.photos) == folders * each
            lines.append(
                [f"{delay} ms", f"{seconds:.1f}", f"{folders / seconds:,.0f}", f"{folders * each / seconds:,.0f}"]
            )
    shutil.rmtree(root)
    title = f"Listing {folders * each:,} photos in {folders:,} folders, from connecting to the plan of their reading"
    return f"### {title}\n\n{table(('round trip', 's', 'folders/s', 'photos/s'), lines)}"


def page(parts: Sequence[str], conditions: str) -> str:
    text = (
        f"One round; {conditions}. A delayed wire between client and a real OpenSSH server on this same machine; a "
        "survey's mix of photos with 5 MB each. Slow rows read a share of the photos. The last column is the share of "
        "what the window allows: 128 photos in flight, 2.4 round trips each."
    )
    return "\n".join([f"## extract-gps\n\n{text}\n", *parts])


if __name__ == "__main__":
    main()
