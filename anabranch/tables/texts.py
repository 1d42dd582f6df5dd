"""Cells as text, booleans, UUIDs and JSON."""

import json
import re
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from anabranch.tables.notation import Coerced, Masked, Notation, as_mask, filled, holds, kept, matches, trimmed
from anabranch.tables.target import ColumnType

_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_UUID = r"\{?[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?"
_UUID_BYTES = 16
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def as_text(cells: pa.StringArray, kind: ColumnType, _: Notation) -> Coerced:
    """Take text as it is, unless it holds a NUL or has more characters than the column."""
    faults = []
    if holds(cells, b"\0"):
        faults.append(
            Masked(as_mask(pc.match_substring(cells, "\0")), "nul_character", "a text cannot hold NUL characters")
        )
    if kind.length is not None:
        long = as_mask(pc.greater(pc.utf8_length(cells), kind.length))
        if long.any():
            faults.append(Masked(long, "too_long", f"{kind} holds {kind.length} characters"))
    return Coerced(cells, faults)


def as_boolean(cells: pa.StringArray, _kind: ColumnType, _: Notation) -> Coerced:
    """Take true, t, yes, y, 1 and their opposites, in any case."""
    words = pc.utf8_lower(trimmed(cells))
    true, false = (as_mask(pc.is_in(words, pa.array(known))) for known in (_TRUE, _FALSE))
    values = pa.array(true, mask=~(true | false))
    bad = Masked(filled(cells) & ~(true | false), "bad_boolean", f"it is not one of {', '.join((*_TRUE, *_FALSE))}")
    return Coerced(values, [bad])


def as_uuid(cells: pa.StringArray, _kind: ColumnType, _: Notation) -> Coerced:
    """Take 32 hexadecimal digits, with or without hyphens and braces."""
    text = trimmed(cells)
    fits = matches(text, _UUID)
    digits = pc.replace_substring_regex(kept(text, fits), pattern="[{}-]", replacement="")
    data = bytes.fromhex("".join(pc.fill_null(digits, "0" * 2 * _UUID_BYTES).to_pylist()))
    valid = pa.array(fits).buffers()[1]
    values = pa.Array.from_buffers(pa.binary(_UUID_BYTES), len(cells), [valid, pa.py_buffer(data)])
    return Coerced(values, [Masked(filled(cells) & ~fits, "bad_uuid", "it is not a UUID")])


def as_json(cells: pa.StringArray, kind: ColumnType, _: Notation) -> Coerced:
    """Take JSON as it is written; jsonb holds no NUL."""
    bad, nul = np.zeros(len(cells), np.bool_), np.zeros(len(cells), np.bool_)
    for row, text in enumerate(cells.to_pylist()):
        if text is not None:
            bad[row] = not _is_json(text)
            nul[row] = kind.kind == "jsonb" and "\\u0000" in text and _NUL.search(text) is not None
    values = kept(cells, ~(bad | nul))
    faults = [
        Masked(bad, "bad_json", "it is not JSON"),
        Masked(nul, "nul_character", "jsonb cannot hold NUL characters"),
    ]
    return Coerced(values, faults)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return _is_wide_json(text)
    return True


def _is_wide_json(text: str) -> bool:
    """Whether it is JSON whose numbers no binary number holds."""
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refused)
    except (ValueError, RecursionError):
        return False
    return _SURROGATE.search(text) is None


def _refused(name: str) -> Any:
    raise ValueError(name)
