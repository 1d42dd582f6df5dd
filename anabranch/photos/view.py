"""What has been read of a file so far. Walkers ask it for bytes, and say by `Need` which range they lack."""

from collections.abc import Iterable

BLOCK = 4096  # bytes read at least where a walker lacks some: what it needs next is often near


class Need(Exception):  # noqa: N818  a question, not an error
    """The walker lacks `length` bytes at `offset`; read them, add them to the view, and call it again."""

    def __init__(self, offset: int, length: int) -> None:
        super().__init__(offset, length)
        self.offset, self.length = offset, length


class DamageError(Exception):
    """The file's structure breaks; the message says where."""


class View:
    """The ranges of a file that are known, and where it ends once that is known."""

    __slots__ = ("_chunks", "end", "size")

    def __init__(self, size: int | None = None) -> None:
        self.size = size  # as it was listed: a hint, since files grow and shrink
        self.end: int | None = None
        self._chunks: list[tuple[int, bytes]] = []

    @classmethod
    def of(cls, data: bytes) -> "View":
        """View bytes that are all in memory."""
        view = cls(len(data))
        view.add(0, data)
        view.ends_at(len(data))
        return view

    def add(self, offset: int, data: bytes) -> None:
        """Add what was read at `offset`."""
        for index, (start, known) in enumerate(self._chunks):
            if start + len(known) == offset:
                self._chunks[index] = (start, known + data)
                return
        self._chunks.append((offset, data))

    def ends_at(self, offset: int) -> None:
        """Note that the file has no bytes from `offset` on."""
        self.end = offset if self.end is None else min(self.end, offset)

    def get(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes. Raises Need where they are not known, DamageError where the file ends before."""
        lacking = offset
        for start, known in self._chunks:
            if start <= offset < start + len(known):
                if offset + length <= start + len(known):
                    return known[offset - start : offset - start + length]
                lacking = start + len(known)
        if length == 0:
            return b""
        if offset < 0 or length < 0 or (self.end is not None and offset + length > self.end):
            raise DamageError(f"the file ends at byte {self.end}, before what it should hold at byte {offset}")
        raise Need(lacking, max(offset + length - lacking, BLOCK))

    def upto(self, offset: int, length: int) -> bytes:
        """Return these bytes, or fewer where the file ends before."""
        stop = offset + length if self.end is None else min(offset + length, self.end)
        return self.get(offset, max(stop - offset, 0))

    @property
    def pieces(self) -> int:
        """How many ranges have been read that do not touch each other."""
        return len(self._chunks)

    def knows(self, offset: int, length: int) -> bool:
        """Whether these bytes have been read already."""
        return any(start <= offset and offset + length <= start + len(known) for start, known in self._chunks)


class Block:
    """A range of a view with offsets of its own, such as an Exif block; `length` None: to the end of the file."""

    __slots__ = ("length", "start", "view")

    def __init__(self, view: View, start: int = 0, length: int | None = None) -> None:
        self.view, self.start, self.length = view, start, length

    @classmethod
    def of(cls, data: bytes) -> "Block":
        """Make a block of bytes that are all in memory."""
        return cls(View.of(data), 0, len(data))

    def get(self, offset: int, length: int) -> bytes:
        """Return these bytes; otherwise as `View.get`, and DamageError where they are outside of the block."""
        if offset < 0 or (self.length is not None and offset + length > self.length):
            raise DamageError(f"byte {offset} is outside of its block of {self.length} bytes")
        return self.view.get(self.start + offset, length)

    def knows(self, offset: int, length: int) -> bool:
        """Whether these bytes have been read already."""
        return self.view.knows(self.start + offset, length)


def joined(view: View, extents: Iterable[tuple[int, int]]) -> Block:
    """Make one block of several ranges of a file, in their order; a single one is not read for it."""
    ranges = list(extents)
    if len(ranges) == 1:
        return Block(view, *ranges[0])
    return Block.of(b"".join(view.get(offset, length) for offset, length in ranges))
