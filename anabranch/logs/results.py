"""The files in which a part leaves its results: text by stream, and an index of what belongs to which archive."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from anabranch.core.parts import WorkFile
from anabranch.core.storage import published, work_file
from anabranch.logs.modems import Figures, Modems, merge
from anabranch.logs.modes import Findings


@dataclass(slots=True)
class Result:
    """What a part found in one archive."""

    archive: int
    pieces: int = 0  # read to their end
    damaged: list[tuple[str, str]] = field(default_factory=list)  # member and reason
    counts: Counter[str] = field(default_factory=Counter)
    modems: Modems = field(default_factory=dict)
    times: list[tuple[str, str, str]] = field(default_factory=list)  # of each member read: first and last, in UTC
    ranges: dict[str, list[list[int]]] = field(default_factory=dict)  # start and end of its text in each stream's file

    def fields(self) -> dict[str, Any]:
        """Return the fields by name, for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def add(self, member: str, found: Findings) -> None:
        """Add what a piece of a member that was read to its end holds."""
        if found.first and found.last:
            first, last = (stamp.instant.astimezone(UTC).isoformat() for stamp in (found.first, found.last))
            if self.times and self.times[-1][0] == member:
                first = self.times.pop()[1]
            self.times.append((member, first, last))
        merge(self.modems, found.modems)
        self.counts.update(found.counts)
        self.pieces += 1

    def keep(self, begins: Mapping[str, int], ends: Mapping[str, int]) -> None:
        """Claim the text between these places; what a damaged member left before stays in no report."""
        for stream, end in ends.items():
            ranges = self.ranges.setdefault(stream, [])
            if ranges and ranges[-1][1] == begins[stream]:
                ranges[-1][1] = end
            else:
                ranges.append([begins[stream], end])


class ResultWriter:
    """Appends a part's text to a file for each stream; the files appear when the block ends well."""

    def __init__(self, folder: Path, key: str, streams: Sequence[str]) -> None:
        self._stack = ExitStack()
        self._paths = {stream: folder / f"{key}.{stream}" for stream in streams}
        self._index = folder / f"{key}.json"
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for stream, path in self._paths.items():
                self._files[stream] = opened.enter_context(published(path, durable=False))
            self._stack = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, text: Mapping[str, list[str]]) -> None:
        """Append the text of each stream, and empty its list."""
        for stream, lines in text.items():
            self._files[stream].write("".join(lines).encode(errors="surrogateescape"))
            lines.clear()

    def ends(self) -> dict[str, int]:
        """Return how long the text of each stream is."""
        return {stream: file.tell() for stream, file in self._files.items()}

    def finish(self, results: Sequence[Result]) -> None:
        """Write the index of what belongs to which archive."""
        with published(self._index, durable=False) as file:
            file.write(json.dumps([result.fields() for result in results]).encode())

    def files(self) -> tuple[WorkFile, ...]:
        """Return the finished files, the index first."""
        return tuple(work_file(path) for path in (self._index, *self._paths.values()))


def read_results(index: WorkFile) -> list[Result]:
    """Read a part's index."""
    results = [Result(**fields) for fields in json.loads(Path(index.path).read_bytes())]
    for result in results:
        result.modems = {modem: [Figures(*one) for one in figures] for modem, figures in result.modems.items()}
        result.counts = Counter(result.counts)
    return results
