"""Decide where a function runs: by what its first records took, never by guess."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from anabranch.core.words import many

Where = Literal["inline", "thread", "process"]

PROBE = 200  # records that are measured; their results are kept
START_SECONDS = 1.0  # until new processes work: interpreter, imports
WAITING = 0.5  # share of a core below which a function waits for others
WORTH_WAITING = 50e-6  # seconds per record: below this there is no wait that a thread could fill
MOST_THREADS = 64
CHUNK_SECONDS = 0.1  # of work for one worker: 50 to 200 ms cost little to hand over, and keep every worker busy
TRANSFER_RATE = 200e6  # bytes per second that go through a pipe, pickled on one side and unpickled on the other


@dataclass(frozen=True, slots=True)
class Measured:
    """What the first records took; seconds and bytes are those of one record."""

    records: int
    cpu: float
    wall: float
    transfer: float = 0.0  # bytes that travel where the driver hands out records: there and back, pickled

    @property
    def waits(self) -> bool:
        """Whether the function is mostly waiting for something else."""
        return self.wall > WORTH_WAITING and self.cpu / self.wall < WAITING


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the function runs, on how many workers, with how many records at a time, and why."""

    mode: Where
    workers: int
    chunk_size: int
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, Any]:
        """The figures as people read them."""
        return {
            "mode": self.mode,
            "workers": self.workers,
            "chunk_size": self.chunk_size,
            **{
                name: float(f"{value:.3g}") if isinstance(value, float) else value
                for name, value in self.figures.items()
            },
        }

    def __str__(self) -> str:
        return f"auto chose {self.mode}: {self.reason}"


def decide(
    measured: Measured,
    records: float,
    workers: int,
    chunk_size: int,
    *,
    estimated: bool = False,
    why_here: str = "",
    why_whole: str = "",
    start_seconds: float = START_SECONDS,
) -> Decision:
    """Choose for that many records still to come (math.inf if unknown); `estimated` where they were not counted.

    What has a reason to stay in this process may run on its threads, what has one to stay whole only in one of them.
    Processes only where they pay: n · cpu · (1 - 1/w) > start + n · transfer.
    """
    cpu, handing = measured.cpu, measured.transfer / TRANSFER_RATE
    chunk = max(1, min(chunk_size, math.ceil(CHUNK_SECONDS / max(measured.wall, 1e-9))))
    measures = {"measured": measured.records, "cpu": cpu, "wall": measured.wall, "transfer": measured.transfer}
    left = None if records == math.inf else _in_two_digits(records) if estimated else round(records)
    figures = {**measures, "records_left_estimated" if estimated else "records_left": left}
    shown = f"{cpu * 1e6:.3g} µs CPU of {measured.wall * 1e6:.3g} µs per record"
    if why_whole:
        return Decision("inline", 1, chunk_size, f"{why_whole}, so it stays in one piece; {shown}", figures)
    if measured.waits:
        threads = min(MOST_THREADS, max(workers, math.ceil(measured.wall / max(cpu, 1e-9))))
        return Decision("thread", threads, chunk, f"{shown}: it waits, so {threads} threads", figures)
    if why_here:
        return Decision("inline", 1, chunk_size, f"{why_here}, so it stays in this process; {shown}", figures)
    saved = cpu * (1 - 1 / workers) - handing
    gain = "it goes on" if records == math.inf else f"{_to_come(records, estimated)} save {_seconds(saved * records)}"
    if saved > 0 and records * saved > start_seconds:
        reason = f"{shown}; on {workers} processes {gain}, their start costs {_seconds(start_seconds)}"
        return Decision("process", workers, chunk, reason, figures)
    reason = f"{shown}; {workers} processes would not pay: {gain}, their start costs {_seconds(start_seconds)}"
    return Decision("inline", 1, chunk_size, reason, figures)


def _to_come(records: float, estimated: bool) -> str:
    """Tell how many records are to come; of an estimate, which may be more than there are, also that it is one."""
    if estimated:
        return f"an estimated {many(_in_two_digits(records), 'record')} to come"
    return f"{many(round(records), 'record')} to come"


def _in_two_digits(number: float) -> int:
    return round(round(number), 2 - len(str(round(number))))


def _seconds(seconds: float) -> str:
    return f"{max(seconds, 0):.2g} s"
