"""A real OpenSSH server with keys of its own on a high port of loopback; asyncssh's where sshd is not installed."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

SSHD = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
ATTEMPTS = 3
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
MaxStartups 100
Subsystem sftp internal-sftp
"""
ASYNCSSH = """\
import asyncio, sys, asyncssh
async def main():
    server = await asyncssh.listen("127.0.0.1", int(sys.argv[1]), server_host_keys=[sys.argv[2]],
        authorized_client_keys=sys.argv[3], sftp_factory=True)
    await server.wait_closed()
asyncio.run(main())
"""


class Server(NamedTuple):
    """Where it listens, and who may log in."""

    user: str
    port: int
    folder: Path
    process: subprocess.Popen

    @property
    def key(self):
        return self.folder / "user_key"

    @property
    def fingerprint(self):
        return fingerprint(self.folder / "host_key.pub")

    def url(self, folder):
        return f"sftp://{self.user}@127.0.0.1:{self.port}{folder}"

    def sessions(self):
        """List the processes that serve connections."""
        return psutil.Process(self.process.pid).children()


def fingerprint(public):
    import paramiko

    from anabranch.sftp.hostkeys import fingerprint as of_key

    kind, data = public.read_text().split()[:2]
    return of_key(paramiko.PKey.from_type_string(kind, __import__("base64").b64decode(data)))


def make_key(path):
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(path))
    key.write_public_key(f"{path}.pub")
    path.chmod(0o600)


@contextmanager
def serving(folder, port=None, more=""):
    """Serve every folder of this machine to this user over SFTP, until the block ends."""
    for name in ("host_key", "user_key"):
        if not (folder / name).exists():
            make_key(folder / name)
    for _ in range(ATTEMPTS):
        process, chosen = start(folder, port or free_port(), more)
        if listens(process, chosen):
            break
        stop(process)
    try:
        yield Server(getpass.getuser(), chosen, folder, process)
    finally:
        stop(process)


def start(folder, port, more):
    if SSHD:
        Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None
        (folder / "sshd_config").write_text(CONFIG.format(port=port, folder=folder) + more)
        command = [SSHD, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")]  # both absolute
    else:
        command = [sys.executable, "-c", ASYNCSSH, str(port), str(folder / "host_key"), str(folder / "user_key.pub")]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True), port


def listens(process, port):
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as plug:
            return plug.recv(4) == b"SSH-"
        time.sleep(0.05)
    return False


def stop(process):
    for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
