"""Time upload-files beside other tools, against one S3 server, direct and behind a link that is capped per connection.

    uv run --group bench python -m benchmarks.uploads --rounds 3 --write

The server is OpenStack Swift on this machine, and takes most of its time: ratios count, not megabytes. Each row is a
process measured from its start to its end, but for the engine rows, which measure themselves after all was imported and
one small file was sent. Every object of the first round is read back and compared. A row whose program or package is
missing is left out by name. At the end the command is killed at half of the big file and run again, and its memory is
measured.
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from distributed import Client, LocalCluster

from anabranch.core.sizes import size_shown
from anabranch.run.server import ensure_server, stop_server
from benchmarks import uploads_ways
from benchmarks.measure import machine, run, table, write_section
from tests.uploads import servers

MIB = 1 << 20
RATE, TRIP = 25e6, 0.02  # bytes a second of one connection; seconds of a round trip
ROWS = {
    "sequential, parts of 5 MiB": "sequential",
    "boto3 TransferManager": "boto3",
    "boto3 with CRT": "crt",
    "the same, and an MD5 of the files": "crt_summed",
    "obstore": "obstore",
    "rclone": "rclone",
    "s5cmd": "s5cmd",
    "ours, engine": "ours",
    "ours, engine, 16 in flight": "sixteen",
    "ours, engine, auto in flight": "automatic",
    "ours, engine with limits": "limited",
    "ours, whole command": "command",
}


def main() -> None:
    """Start the servers, measure, print the tables; with --write keep them in docs/performance.md."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        os.environ.update(ANABRANCH_STATE_DIR=str(root / "state"), ANABRANCH_WORK_DIR=str(root / "work"))
        os.environ.pop("PREFECT_API_URL", None)
        ensure_server(root / "state")
        swift = servers.start_swift(root / "swift")
        try:
            text = "".join(_section(root, swift, case, arguments) for case in _cases(arguments))
            text += _left_out(arguments)
            if arguments.big and "command" in arguments.rows:
                text += _resumed(root, swift, arguments.big) + _memory(root, swift, arguments.big)
                text += _memory_of_workers(root, swift, arguments.big)
        finally:
            swift.stop()
            stop_server(root / "state")
    text = f"## upload-files\n\n{text}\n{machine('boto3', 'swift', 'prefect')}\n"
    print(text)
    if arguments.write:
        write_section("upload-files", text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--big", type=int, default=512, help="MiB of the big file")
    parser.add_argument("--small", type=int, default=200, help="files of 2 MiB")
    parser.add_argument("--tiny", type=int, default=0, help="files of 64 KiB, such as 2000")
    parser.add_argument("--links", nargs="+", choices=("direct", "capped"), default=("direct", "capped"))
    parser.add_argument("--rate", type=float, default=RATE / 1e6, help="MB/s of one connection of the capped link")
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS.values()), default=tuple(ROWS.values()))
    parser.add_argument("--rounds", type=int, default=1, help="each takes about seven minutes")
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/performance.md")
    return parser.parse_args()


def _cases(arguments: argparse.Namespace) -> list[tuple[str, int, int]]:
    sizes = [(1, arguments.big * MIB), (arguments.small, 2 * MIB), (arguments.tiny, MIB // 16)]
    return [(link, count, size) for link in arguments.links for count, size in sizes if count and size]


def _left_out(arguments: argparse.Namespace) -> str:
    missing = [row for row, way in ROWS.items() if way in arguments.rows and way in uploads_ways.missing()]
    return f"Left out, since they are not installed: {', '.join(missing)}.\n\n" if missing else ""


def _source(root: Path, count: int, size: int) -> Path:
    source = root / f"in-{count}-{size}"
    if not source.exists():
        source.mkdir()
        for number in range(count):
            with (source / f"{number}.bin").open("wb") as file:
                for offset in range(0, size, MIB):
                    file.write(os.urandom(min(MIB, size - offset)))
    return source


def _section(root: Path, swift: servers.Server, case: tuple[str, int, int], arguments: argparse.Namespace) -> str:
    link, count, size = case
    source = _source(root, count, size)
    endpoint = swift.endpoint if link == "direct" else Capped(swift.port, arguments.rate * 1e6).endpoint
    rows = {row: way for row, way in ROWS.items() if way in arguments.rows and way not in uploads_ways.missing()}
    seconds: dict[str, list[tuple[float, float]]] = {row: [] for row in rows}
    for number in range(arguments.rounds):
        for row, times in seconds.items():
            times.append(_measured(rows[row], swift, endpoint, source, compared=not number))
            print(
                f"{link} {count} x {size_shown(size)}: {row}: {times[-1][0]:.2f} s, {times[-1][1]:.2f} of the server",
                file=sys.stderr,
            )
    middle = {row: tuple(map(median, zip(*times, strict=True))) for row, times in seconds.items()}
    slowest = max(time for time, _ in middle.values())
    lines = [(row, f"{time:.2f}", f"{slowest / time:.2f}", f"{cpu:.2f}") for row, (time, cpu) in middle.items()]
    name = "direct" if link == "direct" else f"{arguments.rate:g} MB/s per connection, 20 ms"
    heads = ("", "seconds", "times the slowest", "CPU s of the server")
    return f"{count} of {size_shown(size)}, {name}:\n\n{table(heads, lines)}\n"


def _measured(way: str, swift: servers.Server, endpoint: str, source: Path, *, compared: bool) -> tuple[float, float]:
    """Upload the folder into a new bucket, compare, and return the seconds, and those of the server's CPU."""
    client, bucket = swift.client(), _new_bucket(swift)
    began, computed = time.perf_counter(), _computed(swift)
    words = [sys.executable, "-m", "benchmarks.uploads_ways", way, endpoint, bucket, str(source)]
    done = subprocess.run(words, env=_environment(swift), capture_output=True, text=True, check=False)
    whole, computed = time.perf_counter() - began, _computed(swift) - computed
    if done.returncode:
        raise RuntimeError(f"{way}: {done.stderr[-2000:]}")
    tiny = next(source.iterdir()).stat().st_size < MIB  # whose objects are compared by one listing, and left
    if tiny and compared:
        _compare_all(client, bucket, source)
    for path in () if tiny else source.iterdir():
        if compared:
            _compare(client, bucket, path)
        client.delete_object(Bucket=bucket, Key=path.name)
    return float(json.loads(done.stdout)["seconds"]) if way != "command" else whole, computed


def _computed(swift: servers.Server) -> float:
    """Return the seconds that the server has computed: where both cores are busy, they limit everyone."""
    return sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in swift.processes)


def _new_bucket(swift: servers.Server) -> str:
    bucket = f"bench-{uuid.uuid4().hex[:12]}"
    swift.client().create_bucket(Bucket=bucket)
    return bucket


def _environment(swift: servers.Server) -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": servers.KEY, "AWS_SECRET_ACCESS_KEY": swift.secret}
    return {**os.environ, **keys, "AWS_DEFAULT_REGION": servers.REGION}


def _compare(client: Any, bucket: str, path: Path) -> None:
    sums = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        for total, stream in zip(sums, (file, client.get_object(Bucket=bucket, Key=path.name)["Body"]), strict=True):
            while block := stream.read(MIB):
                total.update(block)
    if sums[0].digest() != sums[1].digest():
        raise RuntimeError(f"{path.name} is not what was sent")


def _compare_all(client: Any, bucket: str, source: Path) -> None:
    """Compare the MD5s, which are the tags of objects that were put whole."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    tags = {one["Key"]: one["ETag"].strip('"') for page in pages for one in page["Contents"]}
    if any(tags.get(path.name) != hashlib.md5(path.read_bytes()).hexdigest() for path in source.iterdir()):
        raise RuntimeError("the objects are not what was sent")


def _resumed(root: Path, swift: servers.Server, mib: int) -> str:
    """Kill the command when half of the big file's parts are stored, run it again, and tell what that sent."""
    source, client, bucket = _source(root, 1, mib * MIB), swift.client(), _new_bucket(swift)
    capped = Capped(swift.port).endpoint
    words = [*uploads_ways.COMMAND, str(source), f"s3://{bucket}/", "--endpoint", capped, "--json"]
    first = subprocess.Popen(words, env=_environment(swift), stdout=subprocess.DEVNULL, start_new_session=True)
    while _stored(client, bucket) * 2 < mib * MIB:
        if first.poll() is not None:
            raise RuntimeError("the command ended before half of the file was sent")
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    second = subprocess.run(words, env=_environment(swift), capture_output=True, check=True)
    _compare(client, bucket, source / "0.bin")
    share = json.loads(second.stdout)["bytes_out"] / (mib * MIB)
    return (
        f"Killed by SIGKILL when half of {mib} MiB were stored, on the capped link, the command sends {share:.0%} of "
        "the bytes when it is run again.\n\n"
    )


def _stored(client: Any, bucket: str) -> int:
    """Count the bytes of the one unfinished upload."""
    for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        listed = client.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        return sum(part["Size"] for part in listed.get("Parts", []))
    return 0


def _memory(root: Path, swift: servers.Server, mib: int) -> str:
    """Measure by how much the peak of the command with a big file is above that with a file of one byte."""
    byte = root / "byte"
    byte.write_bytes(b"x")
    words = ["--endpoint", swift.endpoint, "--quiet"]
    least, most = (
        run(
            [*uploads_ways.COMMAND, str(source), f"s3://{_new_bucket(swift)}/", *words], environment=_environment(swift)
        )
        for source in (byte, _source(root, 1, mib * MIB))
    )
    return (
        f"The peak memory of the command with {mib} MiB is {most.peak / MIB:.0f} MiB, "
        f"{(most.peak - least.peak) / MIB:.0f} MiB more than with one byte.\n\n"
    )


def _memory_of_workers(root: Path, swift: servers.Server, mib: int) -> str:
    """Measure by how much the peak of the workers of a Dask cluster is above what they need when idle."""
    peaks = []
    os.environ.update(_environment(swift))  # for the workers, which send
    with (
        LocalCluster(n_workers=2, threads_per_worker=5, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        words = ["--endpoint", swift.endpoint, "--quiet", "--cluster", cluster.scheduler_address]
        for source in (root / "byte", _source(root, 1, mib * MIB)):
            whole = [*uploads_ways.COMMAND, str(source), f"s3://{_new_bucket(swift)}/", *words]
            subprocess.run(whole, env=_environment(swift), check=True)
            peaks.append(max(client.run(_peak).values()))
    return (
        f"The largest worker of a cluster of two has a peak of {peaks[1] / MIB:.0f} MiB with {mib} MiB, "
        f"{(peaks[1] - peaks[0]) / MIB:.0f} MiB more than with one byte.\n\n"
    )


def _peak() -> int:
    """Return the largest memory that this process has had, in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Capped:
    """A proxy that holds each connection's requests to a rate, and lets a round trip pass before each."""

    def __init__(self, port: int, rate: float = RATE) -> None:
        self._port, self._rate, self._loop, ready = port, rate, asyncio.new_event_loop(), threading.Event()
        threading.Thread(target=self._serve, args=(ready.set,), daemon=True).start()
        ready.wait()

    def _serve(self, ready: Callable[[], None]) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", 0, limit=MIB))
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready()
        self._loop.run_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, thither = await asyncio.open_connection("127.0.0.1", self._port, limit=MIB)
        await asyncio.gather(_pass_on(reader, thither, self._rate), _pass_on(there, writer, 0))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
    """Pass bytes on, at so many a second where `rate` is not 0."""
    free = 0.0
    try:
        while data := await reader.read(64 << 10):
            if rate:
                if time.monotonic() - free > 0.05:  # a request after a pause
                    await asyncio.sleep(TRIP)
                free = max(free, time.monotonic()) + len(data) / rate
            writer.write(data)
            await writer.drain()
            if rate and (ahead := free - time.monotonic()) > 0.004:
                await asyncio.sleep(ahead)
    except ConnectionError:
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    main()
