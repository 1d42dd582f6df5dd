"""The list of all files of a conversion, with what is known of each; parts name ranges of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic

import pyarrow as pa

from anabranch.core.kept import keep, kept
from anabranch.core.parts import Opts_co
from anabranch.core.storage import fingerprint
from anabranch.core.words import many
from anabranch.formats.cells import Cells, Field
from anabranch.formats.formats import engine_of
from anabranch.formats.model import Look
from anabranch.formats.options import ReadOptions
from anabranch.formats.reading import Chunk, chunks
from anabranch.sources.source import Source


@dataclass(frozen=True, slots=True)
class File:
    """A file to convert: what is in it, where it is cut, and the types of its columns and of its output's."""

    source: Source
    look: Look
    units: int  # blocks, row groups, stripes or batches; 1 where the file is read from start to end
    cuts: tuple[int, ...]  # first byte of each block and the end, where blocks are read each on its own
    schema: pa.Schema  # of its own columns
    output: pa.Schema  # of the file that is written, which other sources may share

    @property
    def key(self) -> str:
        """Fingerprint what its rows depend on."""
        facts = (self.source.stamp, self.look, self.cuts, self.schema.serialize().to_pybytes())
        return fingerprint(*facts, self.output.serialize().to_pybytes())

    @property
    def how(self) -> str:
        """Describe as what it is read, and what is known of its size."""
        look = self.look
        words = [look.format, self.source.packed or look.codec]
        if look.dialect:
            words += [look.encoding, f"cells divided by {look.dialect.delimiter!r}"]
        columns = f"{many(len(self.schema), 'column')}, {many(self.units, 'block')}"
        return f"{', '.join(filter(None, words))}; {columns}; by {engine_of(look.format)}"

    def chunks(self, units: range, options: ReadOptions) -> Iterator[Chunk]:
        """Return the rows of some units."""
        return chunks(self.source, self.look, options, units, self.cuts)

    def cells(self, units: range, options: ReadOptions, fields: Sequence[Field]) -> Iterator[tuple[Chunk, Cells]]:
        """Return the records of some units as text, chunk by chunk; of JSON, these fields of them.

        One chunk at a time is held, as `map` keeps none: a loop would hold the last one while the next is read.
        """
        look = self.look
        if look.format == "excel":  # whose cells have types of their own, which a column of numbers would round
            look = replace(look, schema=pa.schema([(name, pa.string()) for name in look.schema.names]))
        return map(partial(_with_cells, fields), chunks(self.source, look, options, units, self.cuts))


def _with_cells(fields: Sequence[Field], chunk: Chunk) -> tuple[Chunk, Cells]:
    return chunk, chunk.cells(fields)


@dataclass(frozen=True, slots=True)
class Catalogue(Generic[Opts_co]):
    """All files of a run in the order of the join, and the options they share."""

    files: tuple[File, ...]
    options: Opts_co

    def path(self, folder: str) -> Path:
        """Name the file for it in a folder, after all of its content: `load` keeps what it read under that name."""
        facts = [(file.key, file.source) for file in self.files]
        return Path(folder) / f"{fingerprint(self.options, *facts)}.catalogue"

    def save(self, folder: str) -> None:
        """Write it there."""
        keep(self, self.path(folder))


def load(path: str) -> Catalogue[Any]:
    """Read a catalogue, once for all parts that a process works on."""
    return kept(path)  # type: ignore[no-any-return]
