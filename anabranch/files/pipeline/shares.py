"""What a part of a pipeline works on, and what it brings back."""

from dataclasses import dataclass

import pyarrow as pa

from anabranch.core.parts import WorkFile
from anabranch.files.pipeline.step import Failure
from anabranch.files.plan import ConvertPart, Piece, Segment


@dataclass(frozen=True, slots=True)
class Span(Piece):
    """Consecutive units of a file, or some of the equal shares of the chunks of one unit."""

    share: int = 0  # the first one
    taken: int = 1  # from that one on
    shares: int = 1
    skip: int = 0  # chunks at the begin of the unit that are done already
    limit: int = 0  # chunks at most; 0 for all


@dataclass(frozen=True, slots=True)
class ApplyPart(ConvertPart):
    """Spans in the order of the join."""

    pieces: tuple[Span, ...]
    threads: int = 1  # that call the function at the same time, within the part
    alone: bool = False  # whether no other part of this process may call it meanwhile


@dataclass(frozen=True, slots=True)
class Applied(Segment):
    """What came of a span; `rows` are the records that were read, of which `bad` were none."""

    piece: Span
    results: int = 0
    dropped: int = 0
    failed: int = 0
    schemas: tuple[pa.Schema, ...] = ()  # of its results, in order, each once
    state: WorkFile | None = None
    failure: Failure | None = None  # for which the span was given up
    chunks: int = 0
    cpu: float = 0.0  # seconds in the function
    wall: float = 0.0
    density: float = 0.0  # rows per byte of text
