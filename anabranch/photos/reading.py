"""Read one photo without doing I/O: which bytes to ask for next, and what they say in the end."""

from anabranch.photos.containers import examine
from anabranch.photos.positions import Facts, facts
from anabranch.photos.view import DamageError, Need, View

FIRST, FIRST_THIN = 16 << 10, 4 << 10  # bytes of the first read
MOST_READS, MOST_BYTES = 16, 512 << 10  # of one photo
_NOT_A_PHOTO = "it does not start like a photo"


class Reader:
    """What is known of one photo; `wanted` is the range to read next, or None once `facts` is known."""

    __slots__ = ("_asked", "_assume", "_view", "bytes", "facts", "reads", "wanted")

    def __init__(self, size: int | None, *, thin: bool = False, assume: str = "") -> None:
        self._view, self._assume, self._asked = View(size), assume, 0
        self.reads = self.bytes = 0
        self.facts: Facts | None = None
        self.wanted: tuple[int, int] | None = (0, FIRST_THIN if thin else FIRST)

    def feed(self, data: bytes, *, ended: bool = False) -> None:
        """Take what was read at the start of the wanted range, maybe less than all of it; `ended`: no more comes."""
        if self.wanted is None:
            return
        offset, _ = self.wanted
        self.reads += offset != self._asked or not self.reads  # the rest of a short answer is not a new read
        self.bytes += len(data)
        if data:
            self._view.add(offset, data)
        if ended or not data:
            self._view.ends_at(offset + len(data))
        self._asked = offset + len(data)
        self._look()

    def _look(self) -> None:
        try:
            self.facts = facts(examine(self._view), self._assume)
        except Need as need:
            if self.reads >= MOST_READS or self.bytes + need.length > MOST_BYTES:
                self._end("unreadable", f"its metadata needs more than {MOST_READS} reads or {MOST_BYTES >> 10} KB")
            else:
                self.wanted = need.offset, need.length
                return
        except DamageError as error:
            self._end("not_a_photo" if str(error).startswith(_NOT_A_PHOTO) else "unreadable", str(error))
        self.wanted = None

    def _end(self, status: str, reason: str) -> None:
        self.facts = Facts(status, reason)  # type: ignore[arg-type]  # one of its words
