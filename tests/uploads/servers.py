"""A real S3 server for the tests: OpenStack Swift of one node, with its S3 API, in four processes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.attached import attached

KEY, SECRET, REGION = "test:tester", "testing", "us-east-1"
START_SECONDS = 60
SMALLEST = 64 << 10  # bytes of a part that is not the last; 5 MiB with S3, which would take the tests minutes

_RINGS = """
import json, sys
from swift.common.ring import RingBuilder

for path, port in json.loads(sys.argv[1]).items():
    ring = RingBuilder(4, 1, 1)  # 2**4 partitions, one replica, an hour between moves
    ring.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1", "weight": 1.0,
                  "replication_ip": "127.0.0.1", "replication_port": port, "meta": ""})
    ring.rebalance(seed=1)
    ring.get_ring().save(path)
"""
# A listing that is late would stay so, since no updater runs here: the object server waits for its entry.
_STORAGE = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/dev
mount_check = false
log_level = ERROR
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
container_update_timeout = 60
[{kind}-replicator]
[{kind}-auditor]
"""
_PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_level = ERROR
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api tempauth copy slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
min_segment_size = {smallest}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
"""


@dataclass
class Server:
    """A running S3 server."""

    endpoint: str
    port: int
    processes: list[subprocess.Popen[bytes]]
    secret: str = SECRET

    def client(self) -> Any:
        """A client of our own, so that tests see what others would see."""
        import boto3
        from botocore.config import Config

        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=KEY, aws_secret_access_key=self.secret,
            region_name=REGION, config=config,
        )  # fmt: skip

    def stop(self) -> None:
        for process in self.processes:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def start_swift(folder: Path) -> Server:
    """Start Swift with its files below `folder`; return when its S3 API answers."""
    (folder / "dev" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = anabranch\n")
    ports = dict(zip(("account", "container", "object", "proxy"), free_ports(4), strict=True))
    common = {"folder": folder, "user": os.environ.get("USER", "root"), "smallest": SMALLEST}
    for kind, port in ports.items():
        form = _PROXY if kind == "proxy" else _STORAGE
        (folder / f"{kind}.conf").write_text(form.format(kind=kind, port=port, **common))
    # in a process of its own: Swift imports eventlet, which puts modules of its own in place of urllib.error and others
    rings = {str(folder / f"{kind}.ring.gz"): port for kind, port in ports.items() if kind != "proxy"}
    subprocess.run([sys.executable, "-c", _RINGS, json.dumps(rings)], check=True)
    processes = [_start(folder, kind) for kind in ports]
    server = Server(f"http://127.0.0.1:{ports['proxy']}", ports["proxy"], processes)
    wait_for(ports["proxy"], processes)
    return server


def _start(folder: Path, kind: str) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name(f"swift-{kind}-server")
    with (folder / f"{kind}.log").open("wb") as log:
        return subprocess.Popen(
            attached([sys.executable, str(program), str(folder / f"{kind}.conf")]),
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


def wait_for(port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if any(process.poll() is not None for process in processes):
            break
        time.sleep(0.05)
    raise RuntimeError("the S3 server did not start")


def free_ports(count: int) -> list[int]:
    """Let the system choose ports that are free now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def start_juicefs(folder: Path) -> Server:
    """Start the JuiceFS gateway, which is MinIO's in one process: no checksums beside MD5, and other answers."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    program, meta = Path(sys.executable).with_name("juicefs"), f"sqlite3://{folder}/meta.db"
    options = ["--multi-buckets", "--keep-etag", "--no-usage-report"]
    form = [program, "format", "--storage", "file", "--bucket", f"{folder}/data/", meta, "anabranch"]
    subprocess.run(form, check=True, capture_output=True)
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            attached([str(program), "gateway", meta, f"127.0.0.1:{port}", *options]),
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET + SECRET},
        )  # fmt: skip
    wait_for(port, [process])
    return Server(f"http://127.0.0.1:{port}", port, [process], SECRET + SECRET)


def ministack_program() -> Path | None:
    """Find MiniStack where .ci/run puts it: it wants an older botocore than we do, and so an environment of its own."""
    program = _MAKE / "ministack" / "bin" / "ministack"
    return program if program.exists() else None


def start_ministack(program: Path, folder: Path) -> Server:
    """Start MiniStack's S3: it lists composite checksums of parts and objects, and keeps all in memory."""
    (port,) = free_ports(1)
    told = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3", "HOME": str(folder)}
    with (folder / "ministack.log").open("wb") as log:
        process = subprocess.Popen(
            attached([str(program)]), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            cwd=folder, env={**os.environ, **told, "S3_DATA_DIR": str(folder)},
        )  # fmt: skip
    wait_for(port, [process])
    return Server(f"http://127.0.0.1:{port}", port, [process])


AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # everybody's
_MAKE = Path(__file__).parents[2] / ".make"
_NODE = _MAKE / "azurite" / "node_modules" / ".bin"


def azurite_program() -> str | None:
    """Find Azurite where .ci/run puts it, or where the system has it."""
    return shutil.which("azurite-blob", path=f"{_NODE}:{os.environ.get('PATH', '')}") if shutil.which("node") else None


def start_azurite(program: str, folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """Start Azurite's server of blobs; return the account's address there, and its process."""
    (port,) = free_ports(1)
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), "--silent"]
    with (folder / "azurite.log").open("wb") as log:
        process = subprocess.Popen(
            attached([program, *options, "--skipApiVersionCheck", "--disableTelemetry"]),
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    wait_for(port, [process])
    return f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}", process


def start_gcs_emulator(folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """Start an emulator of Google Cloud Storage that knows the resumable protocol; return its address and process."""
    (port,) = free_ports(1)
    program = Path(sys.executable).with_name("gcp-storage-emulator")
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            attached([str(program), "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory",
                      "--default-bucket", "test"]),
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    wait_for(port, [process])
    return f"http://127.0.0.1:{port}", process
