"""The least types of JSON values: a tree of plain objects, since it is asked for every value of a block.

A tree is a dict for an object, a list of one tree for a list, and a type of Arrow for everything else.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeAlias

import pyarrow as pa
from pyarrow import types

from anabranch.formats.json.values import NOT_FINITE, Integer, Number, Real, text_of
from anabranch.schema.lattice import is_text
from anabranch.schema.rules import OnConflict
from anabranch.schema.schema import ConflictError, is_nested, wider

Tree: TypeAlias = dict[str, Any] | list[Any] | pa.DataType

NULL, BOOL, LONG, DOUBLE, STRING = pa.null(), pa.bool_(), pa.int64(), pa.float64(), pa.string()
BIG, BIGGEST = pa.decimal128(38, 0), pa.decimal256(76, 0)  # integers beyond int64
NATURAL = {type_: type_ for type_ in (NULL, BOOL, LONG, DOUBLE, STRING)}

_FLOATS = {pa.float16(): (11, 16), pa.float32(): (24, 128), DOUBLE: (53, 1024)}  # bits of fraction, and of integers
_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,9})?")
_MOST_FLOAT_DIGITS = 310  # of a double, with a sign
_LONGS = range(-(1 << 63), 1 << 63)


class UnfitError(Exception):
    """A value does not fit its column's type, nor may the type be widened; `expected` is None for an unknown column."""

    def __init__(self, column: str, value: Any, expected: pa.DataType | None, found: pa.DataType) -> None:
        super().__init__(column, value, expected, found)
        self.column, self.value, self.expected, self.found = column, value, expected, found


def tree_of(type_: pa.DataType) -> Tree:
    """Return a type as a tree."""
    if types.is_struct(type_):
        return tree_of_schema(type_)
    if is_nested(type_) and hasattr(type_, "value_type"):
        return [tree_of(type_.value_type)]
    return NATURAL.get(type_, type_)


def tree_of_schema(fields: Iterable[pa.Field]) -> dict[str, Any]:
    """Return the fields of a schema or a struct as a tree."""
    return {field.name: tree_of(field.type) for field in fields}


def type_of(tree: Tree) -> pa.DataType:
    """Return a tree as a type."""
    if isinstance(tree, dict):
        return pa.struct([(name, type_of(inner)) for name, inner in tree.items()])
    return pa.list_(type_of(tree[0])) if isinstance(tree, list) else tree


@dataclass(frozen=True, slots=True)
class Widening:
    """How types grow from value to value.

    `text` lets a text column take nested values, as JSON; scalars fit it always. `sampled` makes every growth a
    conflict, but that of columns without any value yet. `tolerant` leaves the type as it is where it may not grow.
    `untyped` makes every new column text.
    """

    on_conflict: OnConflict
    text: bool = False
    sampled: bool = False
    tolerant: bool = False
    untyped: bool = False

    def fit(self, tree: Any, value: Any, path: str = "") -> Any:
        """Return the least tree from this one on that holds the value, itself if it does; raises UnfitError."""
        if value is None:
            return tree
        if isinstance(tree, dict) and isinstance(value, dict):
            return self._object(tree, value, path)
        if isinstance(tree, list) and isinstance(value, list):
            return self._list(tree, value, path)
        if tree is NULL:
            return self._first(value, path)
        if not isinstance(tree, dict | list) and _holds(tree, value, text=self.text):
            return tree
        return self._grown(tree, value, path)

    def _object(self, tree: dict[str, Any], value: Mapping[str, Any], path: str) -> dict[str, Any]:
        grown: dict[str, Any] = {}
        for key, item in value.items():
            inner = tree.get(key)
            if inner is None:
                grown[key] = self._unknown(item, f"{path}{key}")
            elif item is not None and (fitted := self.fit(inner, item, f"{path}{key}.")) is not inner:
                grown[key] = fitted
        return tree | grown if grown else tree

    def _unknown(self, value: Any, column: str) -> Any:
        if self.untyped:
            return STRING
        natural = self._first(value, f"{column}.")
        if self.sampled and self.on_conflict == "fail":
            raise UnfitError(column, value, None, type_of(natural))
        return natural

    def _list(self, tree: list[Any], value: list[Any], path: str) -> list[Any]:
        inner = tree[0]
        for item in value:
            inner = self.fit(inner, item, f"{path.removesuffix('.')}[].")
        return tree if inner is tree[0] else [inner]

    def _first(self, value: Any, path: str) -> Any:
        if not isinstance(value, dict | list):
            return scalar_type(value)
        anew = replace(self, sampled=False)
        return anew._object({}, value, path) if isinstance(value, dict) else anew._list([NULL], value, path)  # noqa: SLF001

    def _grown(self, tree: Any, value: Any, path: str) -> Any:
        type_, found, column = type_of(tree), type_of(self._first(value, path)), path.removesuffix(".")
        inexact = type_ == DOUBLE and isinstance(value, Integer)
        exactly_as_sampled = self.sampled and self.on_conflict != "widen"
        try:
            grown = wider(type_, STRING if inexact or exactly_as_sampled else found, self.on_conflict, column)
        except ConflictError as error:
            if self.tolerant:
                return tree
            raise UnfitError(column, value, type_, found) from error
        return tree_of(grown)


def scalar_type(value: Any) -> pa.DataType:
    """Return the narrowest type of a value that is not nested; of a number that no type holds exactly, string."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, Integer):
        return _integer_type(value)
    if isinstance(value, Real):
        return DOUBLE if math.isfinite(float(value)) or value in NOT_FINITE else STRING
    return STRING


def _integer_type(value: Integer) -> pa.DataType:
    digits = len(value.removeprefix("-"))
    if digits <= BIG.precision:
        return LONG if int(value) in _LONGS else BIG
    return BIGGEST if digits <= BIGGEST.precision else STRING


def text_tree(tree: Any) -> Any:
    """Return the tree with text in place of everything that is not nested."""
    if isinstance(tree, dict):
        return {name: text_tree(inner) for name, inner in tree.items()}
    return [text_tree(tree[0])] if isinstance(tree, list) else STRING


def told(tree: Any, value: Any, *, text: bool) -> Any:
    """Put text in place of the values of text columns; raises UnfitError for nested values, unless `text`."""
    if isinstance(tree, dict) and isinstance(value, dict):
        return {key: told(tree.get(key), item, text=text) for key, item in value.items()}
    if isinstance(tree, list) and isinstance(value, list):
        return [told(tree[0], item, text=text) for item in value]
    if tree is None or not is_text(tree) or (isinstance(value, dict | list) and value != {} and not text):
        return value
    return text_of(value)


def is_alike(tree: Any, value: Any, *, text: bool) -> bool:
    """Whether objects and lists are where the tree has them, with no key that it does not have."""
    if value is None:
        return True
    if isinstance(tree, dict):
        alike = isinstance(value, dict) and value.keys() <= tree.keys()
        return alike and all(is_alike(tree[key], item, text=text) for key, item in value.items())
    if isinstance(tree, list):
        return isinstance(value, list) and all(is_alike(tree[0], item, text=text) for item in value)
    return text or value == {} or not isinstance(value, dict | list)


def rounds(tree: Tree | None, value: Any) -> bool:
    """Whether a number somewhere in the value would not be itself any more.

    That is an integer in a column of floating numbers, or any number in a column of decimals.
    """
    if isinstance(tree, dict):
        return isinstance(value, dict) and any(rounds(tree.get(key), item) for key, item in value.items())
    if isinstance(tree, list):
        return isinstance(value, list) and any(rounds(tree[0], item) for item in value)
    if isinstance(tree, pa.DataType) and types.is_decimal(tree):
        return isinstance(value, str) and not (_NUMBER.fullmatch(value) and _is_exact_decimal(tree, Decimal(value)))
    return tree in _FLOATS and bool(_WHOLE.fullmatch(str(value))) and not _is_exact_float(tree, str(value))


def becomes_infinite(tree: Tree | None, value: Any) -> bool:
    """Whether a text somewhere in the value would become NaN or an infinity, which only JSON's own words may."""
    if isinstance(tree, dict):
        return isinstance(value, dict) and any(becomes_infinite(tree.get(key), item) for key, item in value.items())
    if isinstance(tree, list):
        return isinstance(value, list) and any(becomes_infinite(tree[0], item) for item in value)
    if tree not in _FLOATS or not isinstance(value, str) or (isinstance(value, Real) and value in NOT_FINITE):
        return False
    try:
        return not math.isfinite(float(value))
    except ValueError:
        return False


def _holds(type_: pa.DataType, value: Any, *, text: bool) -> bool:
    """Whether a type holds a value as it is; types that JSON does not have are left to the cast."""
    if type_ is STRING or is_text(type_):
        return text or not isinstance(value, dict | list) or value == {}
    if type_ is DOUBLE and isinstance(value, Integer):
        return _is_exact_float(type_, value)
    if types.is_decimal(type_):
        return isinstance(value, Number) and _is_exact_decimal(type_, Decimal(value))
    return type_ not in NATURAL or type_ == scalar_type(value)


def _is_exact_float(type_: pa.DataType, value: str) -> bool:
    if len(value) > _MOST_FLOAT_DIGITS:
        return False
    fraction, whole = _FLOATS[type_]
    number = abs(int(value))
    length = number.bit_length()
    return length <= fraction or (length <= whole and number & -number >= 1 << (length - fraction))


def _is_exact_decimal(type_: pa.DataType, number: Decimal) -> bool:
    _, digits, exponent = number.as_tuple()
    places = -exponent if isinstance(exponent, int) else 0
    return places <= int(type_.scale) and len(digits) - places <= int(type_.precision - type_.scale)
