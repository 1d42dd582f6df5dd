"""One way to upload a folder into a bucket, in a process of its own: WAY ENDPOINT BUCKET FOLDER; prints the seconds."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MIB = 1 << 20
THREADS = 10  # files at the same time, where a tool leaves that to us
COMMAND = (sys.executable, "-m", "anabranch.command.cli", "upload-files")


def client(endpoint: str, **more: Any) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(s3={"addressing_style": "path"}, max_pool_connections=20, **more)
    return boto3.client("s3", endpoint_url=endpoint, config=config)


def sequential(endpoint: str, bucket: str) -> Callable[[Path], None]:
    s3 = client(endpoint)

    def send(folder: Path) -> None:
        for path in folder.iterdir():
            if path.stat().st_size <= 5 * MIB:
                s3.put_object(Bucket=bucket, Key=path.name, Body=path.read_bytes())
                continue
            name = {"Bucket": bucket, "Key": path.name}
            begun, parts = s3.create_multipart_upload(**name), []
            with path.open("rb") as file:
                while block := file.read(5 * MIB):
                    put = {"UploadId": begun["UploadId"], "PartNumber": len(parts) + 1, "Body": block}
                    parts.append({"PartNumber": len(parts) + 1, "ETag": s3.upload_part(**name, **put)["ETag"]})
            s3.complete_multipart_upload(**name, UploadId=begun["UploadId"], MultipartUpload={"Parts": parts})

    return send


def boto3(endpoint: str, bucket: str) -> Callable[[Path], None]:
    from boto3.s3.transfer import TransferConfig

    s3, config = client(endpoint), TransferConfig(preferred_transfer_client="classic")

    def send(folder: Path) -> None:
        files = list(folder.iterdir())
        with ThreadPoolExecutor(min(THREADS, len(files))) as pool:
            list(pool.map(lambda path: s3.upload_file(str(path), bucket, path.name, Config=config), files))

    return send


def crt(endpoint: str, bucket: str) -> Callable[[Path], None]:
    """The client in C of the AWS SDKs, set up as boto3 does, which itself knows no other server than Amazon's."""
    from botocore.config import Config
    from botocore.session import Session
    from s3transfer import crt

    session, config = Session(), Config(s3={"addressing_style": "path"})
    region = session.get_config_variable("region")
    asked = {"region_name": region, "endpoint_url": endpoint, "config": config}
    signer = crt.BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
    core = crt.create_s3_crt_client(region, signer, use_ssl=False)
    serializer = crt.BotocoreCRTRequestSerializer(session, asked)

    def send(folder: Path) -> None:
        with crt.CRTTransferManager(core, serializer) as manager:
            futures = [manager.upload(str(path), bucket, path.name) for path in folder.iterdir()]
            for future in futures:
                future.result()

    return send


def crt_summed(endpoint: str, bucket: str) -> Callable[[Path], None]:
    """The same, and beside it the MD5 of each file, without which the object's tag cannot be checked."""
    send = crt(endpoint, bucket)

    def both(folder: Path) -> None:
        with ThreadPoolExecutor(2) as pool:
            summed = pool.map(_md5, folder.iterdir())
            send(folder)
            list(summed)

    return both


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def obstore(endpoint: str, bucket: str) -> Callable[[Path], None]:
    import obstore
    from obstore.store import S3Store

    store = S3Store(bucket, endpoint=endpoint, client_options={"allow_http": True})

    def send(folder: Path) -> None:
        files = list(folder.iterdir())
        with ThreadPoolExecutor(min(THREADS, len(files))) as pool:
            list(pool.map(lambda path: obstore.put(store, path.name, path), files))

    return send


def rclone(endpoint: str, bucket: str) -> Callable[[Path], None]:
    os.environ.pop("AWS_CA_BUNDLE", None)  # Debian's rclone ends with an error where it is set; the server speaks http
    remote = f":s3,provider=Other,env_auth=true,endpoint='{endpoint}':{bucket}"
    return _program("rclone", "copy", "{}", remote)


def s5cmd(endpoint: str, bucket: str) -> Callable[[Path], None]:
    return _program("s5cmd", "--endpoint-url", endpoint, "--log", "error", "cp", "{}/", f"s3://{bucket}/")


def _program(name: str, *words: str) -> Callable[[Path], None]:
    program = _found(name)

    def send(folder: Path) -> None:
        named = [word.replace("{}", str(folder)) for word in words]
        subprocess.run([str(program), *named], check=True, capture_output=True)

    return send


def _found(program: str) -> str | None:
    """Return the path of a program beside the interpreter, or else of the system."""
    return shutil.which(program, path=Path(sys.executable).parent) or shutil.which(program)


def missing() -> set[str]:
    """Return the ways whose program or package is not installed here."""
    programs = {name for name in ("rclone", "s5cmd") if not _found(name)}
    return programs | ({"obstore"} if find_spec("obstore") is None else set())


def ours(endpoint: str, bucket: str, slots: Any = None, in_flight: Any = 8) -> Callable[[Path], None]:
    from anabranch.core.here import on_threads
    from anabranch.core.parts import Job
    from anabranch.uploads.options import UploadOptions
    from anabranch.uploads.way import way

    def send(folder: Path) -> None:
        options = UploadOptions(endpoint=endpoint, parts_in_flight=in_flight)
        with tempfile.TemporaryDirectory() as work:
            job = Job([str(folder)], f"s3://{bucket}/", options, Path(work), options.threads)
            report = way(job, on_threads(options.threads), slots)
        if report.errors:
            raise RuntimeError(str(report.errors[0]))

    return send


def sixteen(endpoint: str, bucket: str) -> Callable[[Path], None]:
    """Twice the default, nearer to the connections that other tools open."""
    return ours(endpoint, bucket, in_flight=16)


def automatic(endpoint: str, bucket: str) -> Callable[[Path], None]:
    """As many as the throughput asks for."""
    return ours(endpoint, bucket, in_flight="auto")


def limited(endpoint: str, bucket: str) -> Callable[[Path], None]:
    from anabranch.run.server import ensure_server, prefect_environment

    os.environ.update(prefect_environment(ensure_server()))
    from anabranch.run.limits import Limit, SharedLimits

    def send(folder: Path) -> None:  # gives its places back, for which the next row would wait else
        with SharedLimits([Limit("bench-user", 3), Limit("bench", 20)]) as slots:
            ours(endpoint, bucket, slots)(folder)

    return send


def command(endpoint: str, bucket: str) -> Callable[[Path], None]:
    def send(folder: Path) -> None:
        subprocess.run([*COMMAND, str(folder), f"s3://{bucket}/", "--endpoint", endpoint, "--quiet"], check=True)

    return send


_ALL = (sequential, boto3, crt, crt_summed, obstore, rclone, s5cmd, ours, sixteen, automatic, limited, command)
WAYS = {each.__name__: each for each in _ALL}


def main() -> None:
    way, endpoint, bucket, folder = sys.argv[1:]
    send = WAYS[way](endpoint, bucket)
    if way != "command":
        with tempfile.TemporaryDirectory() as warm:
            (Path(warm) / "warm").write_bytes(b"warm")
            send(Path(warm))
    began = time.perf_counter()
    send(Path(folder))
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
