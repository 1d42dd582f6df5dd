"""One file to read."""

from dataclasses import dataclass, field

from anabranch.sources.spans import Span


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read, as it was when it was found; `path` is absolute, or a URL that fsspec reads.

    It stays equal to itself when it is unpacked: which file it is does not depend on where its bytes are read.
    """

    path: str
    label: str  # its name as it can be shown, unique in the run
    size: int  # bytes on disk
    stamp: str  # changes whenever its content may have changed
    parent: str = ""  # folder below the one that was named, for patterns
    spans: tuple[Span, ...] = field(default=(), compare=False)  # where its decompressed bytes lie, once it was unpacked
    packed: str = field(default="", compare=False)  # the codec that was undone then
    work: str = field(default="", compare=False, repr=False)  # folder for copies of it; no fact about the file
    most: str = field(default="", compare=False, repr=False)  # what it may unpack to, see `bounds`

    @property
    def text_size(self) -> int:
        """Bytes to read: unpacked where it was."""
        return sum(span.size for span in self.spans) or self.size
