"""Examine a block of JSON lines that does not fit: which rows are bad and why, and the types that the others need."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types

from anabranch.formats.json.parsing import (
    BLANK,
    casts,
    count_records,
    mapped,
    parse,
    read_json,
    rewritten,
    takes_nested,
)
from anabranch.formats.json.types import (
    NULL,
    STRING,
    UnfitError,
    Widening,
    is_alike,
    text_tree,
    tree_of_schema,
    type_of,
)
from anabranch.formats.json.values import DEEPEST, MalformedError, decoded, encoded, text_of
from anabranch.formats.model import Look
from anabranch.formats.options import ReadOptions
from anabranch.schema.exact import misfits
from anabranch.schema.fit import RAW, BadRow, Examined, MisfitError
from anabranch.schema.schema import ConflictError, shown_type, unify
from anabranch.schema.tables import has_huge_floats

MOST_SPANS = 64  # in which unreadable lines are looked for by halves, before all of them are looked at
SHOWN = 80  # characters of a value within a reason

_BRACKETS = b"{["


def examine(block: bytes, look: Look, schema: pa.Schema, options: ReadOptions) -> Examined:
    """Tell the block's bad rows, and the least schema from this one on that the others need.

    Without the bad rows' bytes, `parse` reads the block with that schema.
    """
    return _by_inference(block, look, schema, options) or _Examination(block, look, schema, options).result()


def _by_inference(block: bytes, look: Look, schema: pa.Schema, options: ReadOptions) -> Examined | None:
    """Let Arrow find the types, which is fast; None unless they are sure to be right, and all rows good."""
    if options.infer != "all" or casts(schema, options):
        return None
    try:
        rows = count_records(block)
        if not rows or not _is_shallow(block):
            return None
        found = read_json(block)
        if has_huge_floats(found):
            return None
        needed = unify([schema, mapped(found.schema, _as_text)], "fail")
        parse(block, look, needed, options)
    except (MisfitError, ConflictError, pa.ArrowException):
        return None
    return Examined(rows, needed)


def _is_shallow(block: bytes) -> bool:
    """Whether no record can be nested too deep: Arrow's inference would end with the process's stack."""
    text = np.frombuffer(block, np.uint8)
    brackets = np.flatnonzero((text == _BRACKETS[0]) | (text == _BRACKETS[1]))
    lines = np.searchsorted(brackets, np.flatnonzero(text == ord("\n")))
    return bool(np.diff(lines, prepend=0, append=len(brackets)).max() <= DEEPEST)


def _as_text(type_: pa.DataType) -> pa.DataType:
    """Undo that Arrow takes some strings for timestamps."""
    return STRING if types.is_temporal(type_) else type_


@dataclass(frozen=True, slots=True)
class _Line:
    """A record, its end of line included."""

    row: int
    offset: int
    text: bytes

    def bad(self, reason: str, column: str = "", value: Any = "", expected: str = "", found: str = "") -> BadRow:
        raw = self.text[: 4 * RAW].decode(errors="replace").rstrip("\r\n")[:RAW]
        shown = (text_of(value) or "")[:RAW]
        return BadRow(self.row, self.offset, len(self.text), raw, reason, column, shown, expected, found)


def _lines(block: bytes) -> Iterator[_Line]:
    row = offset = 0
    while offset < len(block):
        end = block.find(b"\n", offset) + 1 or len(block)
        text = block[offset:end]
        if text.strip(BLANK + b"\n"):
            yield _Line(row, offset, text)
            row += 1
        offset = end


class _Examination:
    """Rows looked at one by one, as often as the types still grow."""

    def __init__(self, block: bytes, look: Look, schema: pa.Schema, options: ReadOptions) -> None:
        self._look, self._schema, self._options = look, schema, options
        self._given = casts(schema, options)
        self._widening = Widening(
            options.on_conflict,
            text=takes_nested(options),
            sampled=options.infer.startswith("sample"),
            untyped=options.infer == "none",
        )
        self._tree: Any = tree_of_schema(schema)
        self._lines = list(_lines(block))
        self._bad: dict[int, BadRow] = {}

    def result(self) -> Examined:
        """Find the bad rows and the types: a row that can be read with the types so far needs no other look."""
        if self._given:
            self._cast_all()
        while suspects := self._suspects():
            known = self._tree, len(self._bad)
            for line in suspects:
                self._examine(line)
            if known == (self._tree, len(self._bad)):
                self._bad |= {line.row: self._refused(line) for line in self._unreadable(suspects)}
        return Examined(len(self._lines), self._needed, [self._bad[row] for row in sorted(self._bad)])

    def _cast_all(self) -> None:
        """Find, column by column, the values that cannot be cast to the types given."""
        for line in self._lines:
            self._examine(line)
        good = [line for line in self._lines if line.row not in self._bad]
        tree = text_tree(tree_of_schema(mapped(self._schema, lambda _: STRING)))
        if not good:
            return
        told = rewritten(b"\n".join(line.text for line in good), tree, text=takes_nested(self._options))
        table = read_json(told, pa.schema(type_of(tree)))
        for field, column in zip(self._schema, table.columns, strict=True):
            for place in np.flatnonzero(misfits(column, field.type)).tolist():
                line = good[place]
                self._bad.setdefault(line.row, _unheld(line, field, decoded(line.text).get(field.name)))

    def _suspects(self) -> Sequence[_Line]:
        """Halve the lines until few enough are left that cannot be read; give more where there are many."""
        spans = [[line for line in self._lines if line.row not in self._bad]]
        while 0 < len(spans) <= MOST_SPANS:
            spans = [span for span in spans if not self._reads(span)]
            if all(len(span) == 1 for span in spans):
                break
            halves = ((span[: len(span) // 2], span[len(span) // 2 :]) for span in spans)
            spans = [half for pair in halves for half in pair if half]
        return [line for span in spans for line in span]

    @property
    def _needed(self) -> pa.Schema:
        return self._schema if self._given else pa.schema(type_of(self._tree))

    def _examine(self, line: _Line) -> None:
        try:
            record = decoded(line.text)
            if self._given:
                self._require_alike(record)
            else:
                self._tree = self._widening.fit(self._tree, record)
        except MalformedError as error:
            self._bad[line.row] = line.bad(error.reason, error.column)
        except UnfitError as error:
            self._bad[line.row] = _unfit(line, error)

    def _require_alike(self, record: dict[str, Any]) -> None:
        for key, value in record.items():
            if key not in self._tree or not is_alike(self._tree[key], value, text=takes_nested(self._options)):
                expected = self._schema.field(key).type if key in self._tree else None
                raise UnfitError(key, value, expected, _type_of(value))

    def _reads(self, lines: Sequence[_Line], schema: pa.Schema | None = None) -> bool:
        try:
            parse(b"".join(line.text for line in lines), self._look, schema or self._needed, self._options)
        except MisfitError:
            return False
        return True

    def _unreadable(self, lines: Sequence[_Line]) -> list[_Line]:
        if not lines or self._reads(lines):
            return []
        half = len(lines) // 2
        return [*self._unreadable(lines[:half]), *self._unreadable(lines[half:])] if half else list(lines)

    def _refused(self, line: _Line) -> BadRow:
        """Name the column because of which a record cannot be read, by reading one column after the other."""
        record = decoded(line.text)
        for field in self._needed:
            value = record.get(field.name)
            if not self._reads([_Line(0, 0, encoded({field.name: value}))], pa.schema([field])):
                return _unheld(line, field, value)
        return line.bad("it cannot be read")


def _unfit(line: _Line, error: UnfitError) -> BadRow:
    found = shown_type(error.found)
    if error.expected is None:
        return line.bad(f"there is no column {error.column!r}", error.column, error.value, found=found)
    expected = shown_type(error.expected)
    reason = f"column {error.column!r} is {expected}, but {_quoted(error.value)} is {found}"
    return line.bad(reason, error.column, error.value, expected, found)


def _unheld(line: _Line, field: pa.Field, value: Any) -> BadRow:
    expected = shown_type(field.type)
    reason = f"column {field.name!r} is {expected}, which does not hold {_quoted(value)}"
    return line.bad(reason, field.name, value, expected, shown_type(_type_of(value)))


def _type_of(value: Any) -> pa.DataType:
    return type_of(Widening("string").fit(NULL, value))


def _quoted(value: Any) -> str:
    text = encoded(value).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
