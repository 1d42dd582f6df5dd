"""JSON lines: look at the first; then `parse` blocks of them, and `examine` a block in which something does not fit."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, cycle, islice
from typing import Any

import pyarrow as pa

from anabranch.formats.json.array import Flattener
from anabranch.formats.json.examining import examine
from anabranch.formats.json.parsing import BLANK, parse, takes_nested
from anabranch.formats.json.paths import projected
from anabranch.formats.json.types import Widening, type_of
from anabranch.formats.json.values import MalformedError, decoded
from anabranch.formats.model import Look
from anabranch.formats.options import ReadOptions
from anabranch.schema.fit import MisfitError
from anabranch.schema.rules import OnConflict

__all__ = ["examine", "look_json", "look_records", "parse"]

_BOM = b"\xef\xbb\xbf"
_FEW = 20  # records, which mostly have all types


def look_records(lines: bytes, options: ReadOptions) -> Look:
    """Look at the first records of a list within a JSON object, which come as whole lines."""
    return _look("json", 0, lines, True, options)


def look_json(head: bytes, whole: bool, options: ReadOptions) -> Look:
    """Look at the first bytes of JSON text (`whole`: all of it): its format, and the least types of its first records.

    The format is jsonl, or json where the text is one array, or an object over several lines. A column whose first
    records mix kinds of scalars is text. Raises SourceError where the structure of an array is broken.
    """
    start = len(_BOM) if head.startswith(_BOM) else 0
    format_ = options.format if options.format in ("json", "jsonl") else _format(head[start:])
    lines = Flattener().feed(head) if format_ == "json" else head[start:]
    return _look(format_, start, lines, whole, options)


def _look(format_: str, start: int, lines: bytes, whole: bool, options: ReadOptions) -> Look:
    if options.paths and not options.keeps_records:
        lines = projected(lines, options.paths)
    tree = _least(lines, whole, options)
    return Look(format_, data_start=start, names=tuple(tree), schema=pa.schema(type_of(tree)))


def _format(text: bytes) -> str:
    text = text.lstrip()
    line, newline, _ = text.partition(b"\n")
    if text.startswith(b"[") or (
        newline and not _is_record(line) and _goes_on(text.decode(errors="replace"), len(line))
    ):
        return "json"
    return "jsonl"


def _is_record(line: bytes) -> bool:
    try:
        decoded(line)
    except MalformedError:
        return False
    return True


def _goes_on(text: str, line: int) -> bool:
    """Whether one object continues after the first line, which is not an object by itself."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        # a record that is cut off is followed by another, which is not a member of it
        return error.lineno > 2  # noqa: PLR2004
    except RecursionError:
        return False
    return isinstance(value, dict) and end > line


def _least(text: bytes, whole: bool, options: ReadOptions) -> dict[str, Any]:
    """Return the narrowest types of the first records: of a few, if the parser says that the others fit them, too."""
    *lines, last = text.split(b"\n")  # an incomplete last line does not count
    filled = (line for line in (*lines, *[last] * whole) if line.strip(BLANK))
    first = list(islice(filled, options.head))
    tree = _fitted(_records(first[:_FEW]), options)
    with suppress(MisfitError):
        schema = pa.schema(type_of(tree))
        parse(b"\n".join(first), Look("jsonl", schema=schema), schema, options.model_copy(update={"schema_file": None}))
        return tree
    return _fitted(islice(_records(chain(first, filled)), options.head), options)


def _records(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the records of the lines that are well-formed; the others show when they are parsed."""
    for line in lines:
        with suppress(MalformedError):
            yield decoded(line)


def _fitted(found: Iterable[dict[str, Any]], options: ReadOptions) -> dict[str, Any]:
    on_conflict: OnConflict = "string" if options.on_conflict == "string" else "widen"
    widening = Widening(on_conflict, text=takes_nested(options), tolerant=True, untyped=options.infer == "none")
    tree: dict[str, Any] = {}
    records, fitting = list(found), 0  # in a row
    for record in cycle(records):  # a record that fitted at first may not fit what came later
        known, tree = tree, widening.fit(tree, record)
        fitting = fitting + 1 if tree is known else 0
        if fitting == len(records):
            break
    return tree
