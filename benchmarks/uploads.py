"""Time upload-files beside other tools, against one S3 server, direct and behind a link that is capped per connection.

    uv run --group bench python -m benchmarks.uploads --rounds 3 --write

The server is OpenStack Swift on this machine, and takes most of its time: ratios count, not megabytes. Each row is a
process measured from its start to its end, but for the engine rows, which measure themselves after all was imported and
one small file was sent. Every object is read back and compared.
"""

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import median

from anabranch.run.server import ensure_server, stop_server
from benchmarks.measure import machine, table, write_section
from tests.uploads import servers

MIB = 1 << 20
RATE, TRIP = 25e6, 0.02  # bytes a second of one connection; seconds of a round trip
ROWS = {
    "sequential, parts of 5 MiB": "sequential",
    "boto3 TransferManager": "boto3",
    "boto3 with CRT": "crt",
    "obstore": "obstore",
    "rclone": "rclone",
    "ours, engine": "ours",
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
    parser.add_argument("--links", nargs="+", choices=("direct", "capped"), default=("direct", "capped"))
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS.values()), default=tuple(ROWS.values()))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="keep the tables in docs/performance.md")
    return parser.parse_args()


def _cases(arguments: argparse.Namespace) -> list[tuple[str, int, int]]:
    sizes = [(1, arguments.big * MIB), (arguments.small, 2 * MIB)]
    return [(link, count, size) for link in arguments.links for count, size in sizes if count and size]


def _section(root: Path, swift: servers.Server, case: tuple[str, int, int], arguments: argparse.Namespace) -> str:
    link, count, size = case
    source = root / f"in-{count}-{size}"
    if not source.exists():
        source.mkdir()
        for number in range(count):
            with (source / f"{number}.bin").open("wb") as file:
                for _ in range(size // MIB):
                    file.write(os.urandom(MIB))
    endpoint = swift.endpoint if link == "direct" else Capped(swift.port).endpoint
    seconds: dict[str, list[float]] = {row: [] for row, way in ROWS.items() if way in arguments.rows}
    for _ in range(arguments.rounds):
        for row, times in seconds.items():
            times.append(_measured(ROWS[row], swift, endpoint, source))
            print(f"{link} {count} x {size // MIB} MiB: {row}: {times[-1]:.2f} s", file=sys.stderr)
    middle = {row: median(times) for row, times in seconds.items()}
    slowest = max(middle.values())
    lines = [(row, f"{time:.2f}", f"{slowest / time:.2f}") for row, time in middle.items()]
    name = "direct" if link == "direct" else "25 MB/s per connection, 20 ms"
    return f"{count} of {size // MIB} MiB, {name}:\n\n{table(('', 'seconds', 'times the slowest'), lines)}\n"


def _measured(way: str, swift: servers.Server, endpoint: str, source: Path) -> float:
    """Upload the folder into a new bucket, compare, and return the seconds."""
    client, bucket = swift.client(), f"bench-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    environment = {
        **os.environ, "AWS_ACCESS_KEY_ID": servers.KEY, "AWS_SECRET_ACCESS_KEY": swift.secret,
        "AWS_DEFAULT_REGION": servers.REGION,
    }  # fmt: skip
    began = time.perf_counter()
    words = [sys.executable, "-m", "benchmarks.uploads_ways", way, endpoint, bucket, str(source)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{way}: {done.stderr[-2000:]}")
    for path in source.iterdir():
        found = hashlib.sha256(client.get_object(Bucket=bucket, Key=path.name)["Body"].read())
        if found.digest() != hashlib.sha256(path.read_bytes()).digest():
            raise RuntimeError(f"{way}: {path.name} is not what was sent")
        client.delete_object(Bucket=bucket, Key=path.name)
    return float(json.loads(done.stdout)["seconds"]) if way != "command" else whole


class Capped:
    """A proxy that holds each connection's requests to RATE, and lets a round trip pass before each."""

    def __init__(self, port: int) -> None:
        self._port, self._loop, ready = port, asyncio.new_event_loop(), threading.Event()
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
        await asyncio.gather(_pass_on(reader, thither, capped=True), _pass_on(there, writer, capped=False))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, capped: bool) -> None:
    free = 0.0
    try:
        while data := await reader.read(64 << 10):
            if capped:
                if time.monotonic() - free > 0.05:  # a request after a pause
                    await asyncio.sleep(TRIP)
                free = max(free, time.monotonic()) + len(data) / RATE
            writer.write(data)
            await writer.drain()
            if capped and (ahead := free - time.monotonic()) > 0.004:
                await asyncio.sleep(ahead)
    except ConnectionError:
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    main()
