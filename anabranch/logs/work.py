"""Read one part: decode its pieces, find the report lines, and write them by mode."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from anabranch.core.errors import Stopped
from anabranch.core.parts import Manifest
from anabranch.core.storage import shown
from anabranch.logs.catalogue import Catalogue, Piece, load
from anabranch.logs.modes import Findings, streams
from anabranch.logs.plan import LogPart
from anabranch.logs.results import Result, ResultWriter
from anabranch.logs.scan import Scanner
from anabranch.sources.decoding import DamageError

Stop = Callable[[], bool]


def work(part: LogPart, stop: Stop = lambda: False) -> Manifest:
    """Read the part's pieces for all its modes at once, and write what they find into the plan's folder.

    The manifest's files are the index and the texts, its counts are of lines, and of pieces read and damaged. A member
    that turns out damaged leaves no text but the line that says so, and a warning. Raises Stopped when `stop` says so
    before a block, and SourceError where the archive changed since the plan.
    """
    catalogue = load(part.catalogue)
    scanner = Scanner(part.modes, part.clock)
    pieces = catalogue.pieces[part.first : part.stop]
    results: list[Result] = []
    with ResultWriter(Path(part.folder), part.key, streams(part.modes)) as writer:
        for piece in pieces:
            if not results or results[-1].archive != piece.archive:
                results.append(Result(piece.archive))
            before, found = writer.ends(), Findings({stream: [] for stream in streams(part.modes)})
            try:
                _read(catalogue.text(piece), scanner, found, writer, stop)
            except DamageError as error:
                before = writer.ends()
                writer.write({mode: [_failed_to_read(catalogue, piece)] for mode in part.modes})
                results[-1].damaged.append((piece.member, f"{error} (after {found.counts['lines']} lines)"))
            else:
                results[-1].add(piece.member, found)
            results[-1].keep(before, writer.ends())
        catalogue.require_unchanged(pieces)
    writer.finish(results)
    return Manifest(writer.files(), _totals(results), _warnings(catalogue, results))


def _read(text: Iterable[bytes], scanner: Scanner, found: Findings, writer: ResultWriter, stop: Stop) -> None:
    for block in text:
        if stop():
            raise Stopped
        scanner.scan(block, found)
        writer.write(found.text)


def _failed_to_read(catalogue: Catalogue, piece: Piece) -> str:
    return f"Failed to read file: {catalogue.labels[piece.archive]}/{piece.member}\n"


def _totals(results: list[Result]) -> Counter[str]:
    total = Counter[str]()
    for result in results:
        total.update(result.counts, pieces=result.pieces, damaged=len(result.damaged))
    return total


def _warnings(catalogue: Catalogue, results: list[Result]) -> tuple[str, ...]:
    return tuple(
        f"{catalogue.labels[result.archive]}/{shown(member)} was left out: {reason}"
        for result in results
        for member, reason in result.damaged
    )
