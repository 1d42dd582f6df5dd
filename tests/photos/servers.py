# ruff: noqa: PTH108, PTH118, PTH208  paths are bytes here, which pathlib does not take
"""An SFTP server of our own on loopback, with one fault at a time: what real servers do wrong, one by one."""

import os
import socket
import stat
import struct
import threading
from collections import Counter
from contextlib import contextmanager, suppress

import paramiko

INIT, VERSION, OPEN, CLOSE, READ, FSTAT, OPENDIR, READDIR = 1, 2, 3, 4, 5, 8, 11, 12
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE = 1, 2, 3, 4
PASSWORD = "pw"


def text(data):
    return struct.pack(">L", len(data)) + data


class Sftp:
    """One session; a subclass is a server with a fault."""

    names_at_once = 50
    longest_read = 32768

    def __init__(self, channel, server):
        self.channel, self.server, self.counts = channel, server, server.counts
        self.handles, self.number, self.lock = {}, 0, threading.Lock()

    def send(self, kind, number, body=b""):
        packet = struct.pack(">BL", kind, number) + body
        self.channel.sendall(struct.pack(">L", len(packet)) + packet)

    def status(self, number, code, reason=b""):
        self.send(STATUS, number, struct.pack(">L", code) + text(reason) + text(b""))

    def attributes(self, status):
        flags = 1 | 4 | 8
        return struct.pack(
            ">LQLLL", flags, status.st_size, self.mode(status), int(status.st_atime), int(status.st_mtime)
        )

    def mode(self, status):
        return status.st_mode

    def path(self, name):
        return os.path.join(os.fsencode(self.server.root), name.lstrip(b"/"))

    def shown(self, folder, name):
        """Return the name under which the server lists a file."""
        return name

    def run(self):
        buffer = b""
        while data := self.channel.recv(65536):
            buffer += data
            while len(buffer) >= 4 and len(buffer) >= 4 + (length := int.from_bytes(buffer[:4], "big")):
                packet, buffer = buffer[4 : 4 + length], buffer[4 + length :]
                self.packet(packet)

    def packet(self, packet):
        if packet[0] == INIT:
            self.begin()
            return
        number, body = int.from_bytes(packet[1:5], "big"), packet[5:]
        length = int.from_bytes(body[:4], "big")
        subject, tail = body[4 : 4 + length], body[4 + length :]
        try:
            self.answer(packet[0], number, subject, tail)
        except FileNotFoundError:
            self.status(number, NO_SUCH_FILE)
        except (OSError, KeyError) as error:
            self.status(number, FAILURE, str(error).encode())

    def begin(self):
        self.channel.sendall(struct.pack(">LBL", 5, VERSION, 3))

    def answer(self, kind, number, subject, tail):
        if kind == OPENDIR:
            folder = self.path(subject)
            self.send(HANDLE, number, text(self.opened((folder, sorted(os.listdir(folder))))))
        elif kind == READDIR:
            self.list_names(number, subject)
        elif kind == OPEN:
            self.counts["opens"] += 1
            self.open_file(number, subject)
        elif kind == READ:
            self.counts["reads"] += 1
            offset, length = struct.unpack(">QL", tail)
            data = os.pread(self.handles[subject], min(length, self.longest_read), offset)
            self.counts["bytes"] += len(data)
            self.send(DATA, number, text(data)) if data else self.status(number, EOF)
        elif kind == FSTAT:
            self.counts["stats"] += 1
            self.send(ATTRS, number, self.full_attributes(os.fstat(self.handles[subject])))
        elif kind == CLOSE:
            handle = self.handles.pop(subject)
            os.close(handle) if isinstance(handle, int) else None
            self.status(number, 0)

    def full_attributes(self, status):
        return self.attributes(status)

    def opened(self, what):
        self.number += 1
        handle = b"h%d" % self.number
        self.handles[handle] = what
        self.counts["most_open"] = max(self.counts["most_open"], self.open_files())
        return handle

    def open_files(self):
        return sum(isinstance(handle, int) for handle in self.handles.values())

    def open_file(self, number, name):
        self.send(HANDLE, number, text(self.opened(os.open(self.path(name), os.O_RDONLY))))

    def list_names(self, number, handle):
        folder, names = self.handles[handle]
        now, self.handles[handle] = names[: self.names_at_once], (folder, names[self.names_at_once :])
        if not now:
            self.status(number, EOF)
            return
        self.send(
            NAME, number, struct.pack(">L", len(now)) + b"".join(self.entry(folder, name) for name in now) + self.rest()
        )

    def entry(self, folder, name):
        status = os.lstat(os.path.join(folder, name))
        seen = self.shown(folder, name)
        return text(seen) + text(self.long_name(status, seen)) + self.attributes(status)

    def long_name(self, status, seen):
        return stat.filemode(status.st_mode).encode() + b"    1 u g %d Jan  1 00:00 " % status.st_size + seen

    def rest(self):
        return b""


class NoTypeBits(Sftp):
    def mode(self, status):
        return status.st_mode & 0o7777


class NoTypeAtAll(NoTypeBits):
    def long_name(self, status, seen):
        return seen

    def full_attributes(self, status):
        return struct.pack(">LQLLL", 13, status.st_size, status.st_mode, int(status.st_atime), int(status.st_mtime))


class NoSize(Sftp):
    def attributes(self, status):
        return struct.pack(">LL", 4, status.st_mode)

    def full_attributes(self, status):
        return super().attributes(status)


class ShortReads(Sftp):
    longest_read = 1000


class OutOfOrder(Sftp):
    """Answer in pairs, the second first."""

    def __init__(self, channel, server):
        super().__init__(channel, server)
        self.held, self.timer = None, None

    def send(self, kind, number, body=b""):
        with self.lock:
            if self.timer:
                self.timer.cancel()
            if self.held is None:
                self.held = (kind, number, body)
                self.timer = threading.Timer(0.05, self.release)
                self.timer.start()
                return
            super().send(kind, number, body)
            held, self.held = self.held, None
            super().send(*held)

    def release(self):
        with self.lock, suppress(OSError):
            if self.held is not None:
                held, self.held = self.held, None
                super().send(*held)


class FewFiles(Sftp):
    most, code = 1, PERMISSION_DENIED

    def open_file(self, number, name):
        if self.open_files() >= self.most:
            self.status(number, self.code, b"too many open files")
        else:
            super().open_file(number, name)


class SixteenFiles(FewFiles):
    most, code = 16, FAILURE


class ForbiddenFile(Sftp):
    """One file that must not be read."""

    def open_file(self, number, name):
        if b"0030" in name:
            self.status(number, PERMISSION_DENIED, b"Permission denied")
        else:
            super().open_file(number, name)


class Drops(Sftp):
    """Close the connection after every 39th OPEN, for the first three times."""

    def open_file(self, number, name):
        if self.counts["opens"] % 39 == 0 and self.counts["drops"] < 3:
            self.counts["drops"] += 1
            self.channel.get_transport().close()
            return
        super().open_file(number, name)


class NoReply(Sftp):
    """Never answer the READ of one file."""

    def open_file(self, number, name):
        super().open_file(number, name)
        if b"0030" in name:
            self.silent = b"h%d" % self.number

    silent = b""

    def answer(self, kind, number, subject, tail):
        if kind != READ or subject != self.silent:
            super().answer(kind, number, subject, tail)


class Vanishes(Sftp):
    """Remove one file, cut a second and lengthen a third once the folder is listed."""

    def list_names(self, number, handle):
        super().list_names(number, handle)
        folder, names = self.handles[handle]
        files = sorted(os.listdir(folder))
        if not names and len(files) == 60:
            os.unlink(os.path.join(folder, files[0]))
            os.truncate(os.path.join(folder, files[1]), 700)
            os.truncate(os.path.join(folder, files[2]), 100_000)


class OddNames(Sftp):
    def shown(self, folder, name):
        return b"line\n" + name[:-4] + b"\xe9" + name[-4:] if name.endswith(b".JPG") else name

    def path(self, name):
        return super().path(name.replace(b"line\n", b"").replace(b"\xe9", b""))


class LaterVersion(Sftp):
    """Attributes as version 4 has them: a type, and times of eight bytes."""

    def attributes(self, status):
        return struct.pack(">LBQLq", 0x0D | 0x8, 1, status.st_size, status.st_mode, int(status.st_mtime)) + b"\0" * 4


class EndOfList(Sftp):
    """The byte of version 6 that says whether the list ends here."""

    def rest(self):
        return b"\0"


class NewerServer(Sftp):
    def begin(self):
        self.channel.sendall(struct.pack(">LBL", 5, VERSION, 6))


class Talks(Sftp):
    def begin(self):
        self.channel.sendall(b"Welcome to the photo server!\n")
        super().begin()


class Slashes(Sftp):
    """List names that lead elsewhere."""

    def shown(self, folder, name):
        return b"../" + name if b"0030" in name else name


class Login(paramiko.ServerInterface):
    def __init__(self, server):
        self.server, self.channels = server, 0

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"

    def check_channel_request(self, kind, chanid):
        self.channels += 1
        refused = self.server.one_channel and self.channels > 1
        return paramiko.OPEN_FAILED_CONNECT_FAILED if refused else paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel, name):
        threading.Thread(target=self.serve, args=(channel,), daemon=True).start()
        return name == "sftp"

    def serve(self, channel):
        with suppress(OSError, EOFError, paramiko.SSHException):
            self.server.sftp(channel, self.server).run()


class FaultyServer:
    """Accept connections until it is closed."""

    def __init__(self, root, sftp, refused=0, most=1000, *, one_channel=False):
        self.root, self.sftp, self.refused, self.most, self.one_channel = root, sftp, refused, most, one_channel
        self.counts = Counter()
        self.key = paramiko.ECDSAKey.generate()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.transports = []
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    @property
    def fingerprint(self):
        from anabranch.sftp.hostkeys import fingerprint

        return fingerprint(self.key)

    def url(self, folder="/"):
        return f"sftp://u@127.0.0.1:{self.port}{folder}"

    def accept(self):
        while True:
            try:
                plug, _ = self.listener.accept()
            except OSError:
                return
            self.counts["connections"] += 1
            alive = sum(transport.is_active() for transport in self.transports)
            if self.counts["connections"] <= self.refused or alive >= self.most:
                self.counts["refused"] += 1
                plug.close()
                continue
            plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = paramiko.Transport(plug)
            transport.add_server_key(self.key)
            self.transports.append(transport)
            threading.Thread(target=self.greet, args=(transport,), daemon=True).start()

    def greet(self, transport):
        with suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=Login(self))

    def close(self):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for transport in self.transports:
            transport.close()


@contextmanager
def faulty(root, sftp=Sftp, **how):
    server = FaultyServer(root, sftp, **how)
    try:
        yield server
    finally:
        server.close()
