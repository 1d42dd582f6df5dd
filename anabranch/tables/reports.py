"""The report of an import: for each file its rejects, to be corrected and imported, and its duplicates.

They are written into the work folder before COMMIT and published after it, so that a run that was killed in between
still publishes them when it is run again.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from anabranch.core.parts import Written
from anabranch.core.storage import published
from anabranch.tables.target import REJECTS, Import, Piece

_ROWS = 50_000  # of a row group
REJECTED = pa.schema([pa.field("record", pa.int64()), *(REJECTS.field(place) for place in range(1, len(REJECTS)))])
DUPLICATE = pa.schema(
    [
        pa.field("record", pa.int64()),
        pa.field("where", pa.string()),  # table or file
        pa.field("first_row", pa.int64()),  # the record that stays, where it is one of the files
        pa.field("first_file", pa.string()),
    ]
)


@dataclass(slots=True)
class Samples:
    """The first of what is reported, for the run's page."""

    rejects: list[dict[str, object]] = field(default_factory=list)
    duplicates: list[dict[str, object]] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)  # faults by code


MOST_SAMPLES = 20


def batches(path: str) -> Iterator[pa.RecordBatch]:
    """Read an Arrow file batch by batch."""
    with pa.OSFile(path) as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def write_rejects(job: Import, pieces: Sequence[Piece], folder: Path) -> Samples:
    """Write each file's rejects, numbered as in the file, into the folder."""
    samples = Samples()
    for number, file in enumerate(job.files):
        own = [piece for piece in pieces if piece.file == number]
        if not any(piece.manifest.counts["rejected"] for piece in own):
            continue
        before = 0
        text, table = folder / f"{number}.rejects{file.ending}", folder / f"{number}.rejects.parquet"
        with published(text, durable=False) as out, pq.ParquetWriter(table, REJECTED, compression="zstd") as writer:
            out.write(file.header)
            for piece in own:
                for batch in batches(piece.manifest.rejects.path):
                    numbered = _numbered(batch, before)
                    writer.write_batch(numbered)
                    _sample(samples, numbered, file.label)
                _write_raw(out, piece)
                before += piece.manifest.counts["records"]
    return samples


def _numbered(batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
    columns = [pc.add(batch.column("record"), before + 1)]
    columns += [batch.column(name) for name in REJECTED.names[1:]]
    return pa.RecordBatch.from_arrays(columns, schema=REJECTED)


def _sample(samples: Samples, batch: pa.RecordBatch, label: str) -> None:
    for pair in pc.value_counts(batch.column("code")).to_pylist():
        samples.codes[pair["values"]] = samples.codes.get(pair["values"], 0) + pair["counts"]
    missing = MOST_SAMPLES - len(samples.rejects)
    for row in batch.slice(0, max(0, missing)).to_pylist():
        samples.rejects.append({"file": label, **{name: row[name] for name in REJECTED.names if name != "raw"}})


def _write_raw(out: IO[bytes], piece: Piece) -> None:
    """Write each rejected record once, however many faults it has."""
    last = -1
    for batch in batches(piece.manifest.rejects.path):
        for record, raw in zip(batch.column("record").to_pylist(), batch.column("raw").to_pylist(), strict=True):
            if record != last:
                out.write(raw or b"")
                out.write(b"\n")
            last = record


class DuplicatesWriter:
    """Write the duplicates of one file: a context manager; there is no table where there are none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[tuple[int, str, int | None, str | None]] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, record: int, first: int | None, label: str | None) -> None:
        """Add a record, and which one it repeats; none: a row of the table."""
        self._rows.append((record, "table" if first is None else "file", first, label))
        if len(self._rows) >= _ROWS:
            self._write()

    def close(self) -> None:
        """Write what is left, and end the file."""
        self._write()
        if self._writer:
            self._writer.close()

    def _write(self) -> None:
        if not self._rows:
            return
        self._writer = self._writer or pq.ParquetWriter(self._path, DUPLICATE, compression="zstd")
        columns = [
            pa.array(column, kind.type) for column, kind in zip(zip(*self._rows, strict=True), DUPLICATE, strict=True)
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=DUPLICATE))
        self._rows.clear()


def publish(job: Import, folder: Path, written: list[Written], *, again: bool = False) -> list[str]:
    """Copy the reports to where the user looks for them; with `again` only those that are not there.

    A file that the user may have begun to correct is not written over then. `written` gets those that were copied.
    """
    outputs = []
    for number, file in enumerate(job.files):
        for ending in (f".rejects{file.ending}", ".rejects.parquet", ".duplicates.parquet"):
            source, target = folder / f"{number}{ending}", Path(f"{file.reports}{ending}")
            if not source.exists():
                continue
            if not (again and target.exists()):
                target.parent.mkdir(parents=True, exist_ok=True)
                with source.open("rb") as stored, published(target, keep_equal=True, written=written) as out:
                    shutil.copyfileobj(stored, out, 1 << 20)
            outputs.append(str(target))
    return outputs
