"""Read and write Thrift's compact protocol as plain trees, without knowing what their fields mean.

A struct is a dict of field number → (type, value). A list is (type of its items, values). Integers are `int`, texts
are `bytes`; a boolean field is all in its type, and has the value None.
"""

from collections.abc import Callable
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

_LONG = 0x0F  # in a half byte: the number follows
_SEVEN_BITS = 0x7F

Struct = dict[int, tuple[int, Any]]


def decode(data: bytes) -> Struct:
    """Read the struct at the start of `data`; ValueError if it is not one."""
    try:
        return _Decoder(data).struct()
    except (IndexError, KeyError, RecursionError) as error:  # KeyError: a type that is not known here
        raise ValueError("not a whole Thrift struct") from error


def encode(struct: Struct) -> bytes:
    """Write a struct as `decode` reads it."""
    out = bytearray()
    _put_struct(out, struct)
    return bytes(out)


class _Decoder:
    """Reads values from a place that moves on; a footer of 10,000 columns has a million, so the loop is a tight one."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        integer, listed = self.integer, self.list
        self._readers: dict[int, Callable[[], Any]] = {
            TRUE: self.byte, FALSE: self.byte, BYTE: self.byte,  # as items of a list; as fields, they have no bytes
            I16: integer, I32: integer, I64: integer, DOUBLE: self.double, BINARY: self.binary,
            LIST: listed, SET: listed, STRUCT: self.struct,
        }  # fmt: skip

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        number = self.data[self.at]
        self.at += 1
        if number <= _SEVEN_BITS:
            return number
        number, shift = number & _SEVEN_BITS, 7
        while (byte := self.byte()) > _SEVEN_BITS:
            number |= (byte & _SEVEN_BITS) << shift
            shift += 7
        return number | byte << shift

    def integer(self) -> int:
        zigzag = self.varint()
        return zigzag >> 1 ^ -(zigzag & 1)

    def double(self) -> bytes:
        return self.raw(8)

    def binary(self) -> bytes:
        return self.raw(self.varint())

    def raw(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.data):
            raise ValueError("a Thrift text extends past the end")
        return self.data[self.at - size : self.at]

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        readers = self._readers
        while head := self.byte():
            kind = head & 0x0F
            number = number + (head >> 4) if head >> 4 else self.integer()
            fields[number] = (kind, None if kind <= FALSE else readers[kind]())
        return fields

    def list(self) -> tuple[int, list[Any]]:
        head = self.byte()
        kind, size = head & 0x0F, head >> 4
        if size == _LONG:
            size = self.varint()
        read = self._readers[kind]
        return kind, [read() for _ in range(size)]


def _put_varint(out: bytearray, number: int) -> None:
    while number > _SEVEN_BITS:
        out.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    out.append(number)


def _put_integer(out: bytearray, number: int) -> None:
    _put_varint(out, number << 1 ^ number >> 63)


def _put_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in (I16, I32, I64):
        _put_integer(out, value)
    elif kind == BINARY:
        _put_varint(out, len(value))
        out += value
    elif kind == STRUCT:
        _put_struct(out, value)
    elif kind in (LIST, SET):
        _put_list(out, *value)
    elif kind == DOUBLE:
        out += value
    else:
        out.append(value)


def _put_struct(out: bytearray, struct: Struct) -> None:
    last = 0
    for number in sorted(struct):
        kind, value = struct[number]
        if 0 < number - last <= _LONG:
            out.append((number - last) << 4 | kind)
        else:
            out.append(kind)
            _put_integer(out, number)
        if kind not in (TRUE, FALSE):
            _put_value(out, kind, value)
        last = number
    out.append(0)


def _put_list(out: bytearray, kind: int, values: list[Any]) -> None:
    if len(values) < _LONG:
        out.append(len(values) << 4 | kind)
    else:
        out.append(0xF0 | kind)
        _put_varint(out, len(values))
    for value in values:
        _put_value(out, kind, value)
