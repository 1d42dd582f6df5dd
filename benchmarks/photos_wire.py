"""The SSH server of the benchmark of photos, behind a wire with a delay."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import sshd


class Wire:
    """The server behind a delay."""

    def __init__(self, host: sshd.Server, port: int, folder: Path) -> None:
        self.host, self.port, self.folder = host, port, folder

    @property
    def access(self) -> dict[str, str]:
        return {"host_key": self.host.fingerprint, "key_file": str(self.host.key)}

    def url(self) -> str:
        return f"sftp://{self.host.user}@127.0.0.1:{self.port}{self.folder}/homes"

    def client(self):
        import paramiko

        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # as scripts do
        client.connect("127.0.0.1", self.port, self.host.user, key_filename=str(self.host.key), allow_agent=False)
        return client


@contextmanager
def delayed(host: sshd.Server, delay: int, folder: Path) -> Iterator[Wire]:
    command = [sys.executable, "-m", "benchmarks.delaying", str(host.port), str(delay)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield Wire(host, int(process.stdout.readline()), folder)
    finally:
        process.kill()
        process.wait()
