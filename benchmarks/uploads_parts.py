"""Time put_part by boto3 beside a presigned URL and httpx, over http and TLS: seconds of this process's CPU and in all.

    python -m benchmarks.uploads_parts --rounds 3

All send the same bytes with the same MD5, from the same reader of 1 MiB, to Swift, over TLS through a proxy in a
process of its own. Where the machine is busy with other things, only the CPU seconds count.
"""

import argparse
import asyncio
import base64
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import httpx
from botocore.config import Config

from anabranch.uploads.ranges import BLOCK, RangeFile, summed
from benchmarks.measure import machine, table
from tests.uploads import servers

SIZE = 16 << 20  # bytes of a part
WAYS = ("boto3 that signs the body", "boto3 as we use it", "presigned URL and httpx")
Put = Callable[[tuple[str, int]], None]  # an upload's id and the number of a part


def main() -> None:
    """Start the servers, let both ways put the same parts in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve-tls", nargs=3, metavar=("PORT", "TO", "PEM"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_tls:
        asyncio.run(_serve_tls(*arguments.serve_tls))
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        source = root / "source"
        with source.open("wb") as file:
            file.write(os.urandom(SIZE))
        swift = servers.start_swift(root / "swift")
        swift.client().create_bucket(Bucket="bench")
        port, pem = servers.free_ports(1)[0], root / "tls.pem"
        _certificate(pem)
        proxy = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.uploads_parts", "--serve-tls", str(port), str(swift.port), str(pem)]
        )
        servers.wait_for(port, [proxy])
        try:
            rows = [
                (f"{name}, {threads} at a time", *_row(endpoint, pem, source, threads, arguments))
                for name, endpoint in (("http", swift.endpoint), ("TLS", f"https://127.0.0.1:{port}"))
                for threads in (1, 8)
            ]
        finally:
            proxy.kill()
            proxy.wait()
            swift.stop()
    heads = ("", *(f"{name}, {unit}" for name in WAYS for unit in ("CPU s", "s")))
    print(f"{arguments.parts} parts of 16 MiB:\n\n{table(heads, rows)}\n{machine('boto3', 'httpx', 'swift')}")


def _row(endpoint: str, pem: Path, source: Path, threads: int, arguments: argparse.Namespace) -> tuple[str, ...]:
    """Let each way put all parts, in turn; return the medians of its seconds."""
    s3 = _client(endpoint, pem, threads, signed=False)
    with RangeFile(str(source), 0, SIZE) as body:
        md5 = base64.b64encode(bytes.fromhex(summed(body).md5)).decode()
    puts = (
        _by_boto3(_client(endpoint, pem, threads, signed=True), source, md5),
        _by_boto3(s3, source, md5),
        _by_httpx(s3, httpx.Client(verify=ssl.create_default_context(cafile=str(pem)), timeout=60), source, md5),
    )
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(arguments.rounds):
        for (_, times), put in zip(found.items(), puts, strict=True):
            upload = s3.create_multipart_upload(Bucket="bench", Key="key")["UploadId"]
            put((upload, 1))  # a connection is open
            began = time.process_time(), time.perf_counter()
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(put, [(upload, number) for number in range(1, arguments.parts + 1)]))
            times.append((time.process_time() - began[0], time.perf_counter() - began[1]))
            s3.abort_multipart_upload(Bucket="bench", Key="key", UploadId=upload)
    return tuple(f"{median(each):.2f}" for times in found.values() for each in zip(*times, strict=True))


def _client(endpoint: str, pem: Path, threads: int, *, signed: bool) -> Any:
    return boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=servers.KEY, aws_secret_access_key=servers.SECRET,
        region_name=servers.REGION, verify=str(pem) if endpoint.startswith("https") else None,
        config=Config(
            s3={"addressing_style": "path", "payload_signing_enabled": signed}, max_pool_connections=threads,
            request_checksum_calculation="when_required",
        ),
    )  # fmt: skip


def _by_boto3(s3: Any, path: Path, md5: str) -> Put:
    def put(part: tuple[str, int]) -> None:
        named = {"Bucket": "bench", "Key": "key", "UploadId": part[0], "PartNumber": part[1], "ContentMD5": md5}
        with RangeFile(str(path), 0, SIZE) as body:
            s3.upload_part(**named, Body=body)

    return put


def _by_httpx(s3: Any, http: httpx.Client, path: Path, md5: str) -> Put:
    def put(part: tuple[str, int]) -> None:
        named = {"Bucket": "bench", "Key": "key", "UploadId": part[0], "PartNumber": part[1], "ContentMD5": md5}
        url = s3.generate_presigned_url("upload_part", named)
        with RangeFile(str(path), 0, SIZE) as body:
            headers = {"Content-MD5": md5, "Content-Length": str(SIZE)}
            http.put(url, content=iter(lambda: body.read(BLOCK), b""), headers=headers).raise_for_status()

    return put


def _certificate(pem: Path) -> None:
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{pem}.key", "-out", f"{pem}.crt"]
    subprocess.run(words, check=True, capture_output=True)
    pem.write_bytes(Path(f"{pem}.key").read_bytes() + Path(f"{pem}.crt").read_bytes())


async def _serve_tls(port: str, to: str, pem: str) -> None:
    """Pass on what comes over TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, thither = await asyncio.open_connection("127.0.0.1", int(to))
        await asyncio.gather(_pass_on(reader, thither), _pass_on(there, writer))

    server = await asyncio.start_server(answer, "127.0.0.1", int(port), ssl=context, limit=BLOCK)
    await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    main()
