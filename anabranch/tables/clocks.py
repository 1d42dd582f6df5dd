"""Cells as dates and times: ISO, or the formats that were declared; a day that does not exist is never moved."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anabranch.tables.dates import DIRECTIVES, pattern
from anabranch.tables.notation import ISO, Coerced, Mask, Masked, Notation, as_mask, filled, matches, trimmed
from anabranch.tables.target import ColumnType

Integers = NDArray[np.int64]

_DAY = r"(?P<Y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"
_CLOCK = r"(?P<H>\d{2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:\.(?P<f>\d{1,30}))?)?"
_STAMP = rf"{_DAY}(?:[T ]{_CLOCK})?(?: ?{DIRECTIVES['z']})?"
_TIME = r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:\.(?P<f>\d{1,30}))?)?"
_QUICK = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?"
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_LENGTHS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_CENTURY = 69  # as POSIX has it: 69 is 1969, 68 is 2068
_MICROS, _MINUTE, _DAY_MICROS = 1_000_000, 60_000_000, 86_400_000_000
_DIGITS = 6  # of a fraction that are kept


@dataclass(frozen=True, slots=True)
class _Read:
    """What a pattern found in the cells; where `fits` is False, nothing else means anything."""

    fits: Mask
    days: Integers
    micros: Integers  # of the day
    offset: Integers  # minutes east of Greenwich
    has_offset: Mask
    fine: Mask  # more digits of a fraction than are kept


def as_date(cells: pa.StringArray, _kind: ColumnType, notation: Notation) -> Coerced:
    """Read days; a clock beside one is a fault."""
    formats = [each for each in notation.date_formats if "%H" not in each] or [ISO]
    if formats == [ISO]:
        with suppress(pa.ArrowInvalid):
            return Coerced(pc.cast(cells, pa.date32()), [])
    read = _first(trimmed(cells), [pattern(each) for each in formats])
    values = pa.array(read.days.astype(np.int32), pa.int32(), mask=~read.fits).cast(pa.date32())
    return Coerced(
        values, [Masked(filled(cells) & ~read.fits, "bad_date", f"it is not a day written {_named(formats)}")]
    )


def as_time(cells: pa.StringArray, kind: ColumnType, _: Notation) -> Coerced:
    """Read times of a day: 10:30, 10:30:15 or 10:30:15.25."""
    read = _read(trimmed(cells), f"^(?:{_TIME})$", day=False)
    fine = read.fits & _too_fine(read, kind)
    values = pa.array(read.micros, pa.int64(), mask=~read.fits | fine).cast(pa.time64("us"))
    bad = Masked(filled(cells) & ~read.fits, "bad_time", "it is not a time of day written hh:mm or hh:mm:ss")
    return Coerced(values, [bad, _lossy(fine, kind)])


def as_timestamp(cells: pa.StringArray, kind: ColumnType, notation: Notation) -> Coerced:
    """Read a date with a clock; an offset from UTC is a fault, since the column would drop it."""
    formats = _with_clock(notation)
    if not formats and kind.precision is None:
        with suppress(pa.ArrowInvalid):
            if matches(cells, _QUICK)[filled(cells)].all():
                return Coerced(pc.cast(cells, kind.arrow), [])
    read = _first(trimmed(cells), _stamps(formats))
    fine = read.fits & _too_fine(read, kind)
    good = read.fits & ~read.has_offset & ~fine
    values = pa.array(read.days * _DAY_MICROS + read.micros, pa.int64(), mask=~good).cast(kind.arrow)
    return Coerced(
        values,
        [
            Masked(filled(cells) & ~read.fits, "bad_timestamp", f"it is not a date and time written {_named(formats)}"),
            Masked(
                read.fits & read.has_offset, "bad_timestamp", "it has an offset from UTC, which the column cannot keep"
            ),
            _lossy(fine, kind),
        ],
    )


def as_instant(cells: pa.StringArray, kind: ColumnType, notation: Notation) -> Coerced:
    """Read a date with a clock and an offset; without one it is a time of `notation.zone`, or a fault."""
    formats = _with_clock(notation)
    if not formats and kind.precision is None:
        with suppress(pa.ArrowInvalid):
            if matches(cells, _QUICK)[filled(cells)].all():
                return Coerced(pc.cast(cells, kind.arrow), [])
    read = _first(trimmed(cells), _stamps(formats))
    fine = read.fits & _too_fine(read, kind)
    local = read.days * _DAY_MICROS + read.micros
    naive = read.fits & ~read.has_offset
    moved = np.zeros(len(cells), np.bool_)
    instants = local - read.offset * _MINUTE
    if notation.zone and naive.any():
        instants, moved = _in_zone(local, naive, instants, notation.zone)
    unknown = naive if not notation.zone else np.zeros(len(cells), np.bool_)
    good = read.fits & ~fine & ~moved & ~unknown
    values = pa.array(instants, pa.int64(), mask=~good).cast(kind.arrow)
    return Coerced(
        values,
        [
            Masked(filled(cells) & ~read.fits, "bad_timestamp", f"it is not a date and time written {_named(formats)}"),
            Masked(unknown, "bad_timestamp", "it has no offset from UTC, and --naive-timestamps names no time zone"),
            Masked(moved, "bad_timestamp", f"clocks in {notation.zone} skip this time or show it twice"),
            _lossy(fine, kind),
        ],
    )


def _in_zone(local: Integers, naive: Mask, instants: Integers, zone: str) -> tuple[Integers, Mask]:
    """Take local times as those of a zone; the mask says which occur twice there, or never."""
    clocks = pa.array(local, pa.int64(), mask=~naive).cast(pa.timestamp("us"))
    early, late = (
        np.asarray(
            pc.fill_null(pc.assume_timezone(clocks, zone, ambiguous=which, nonexistent=which).cast(pa.int64()), 0)
        )
        for which in ("earliest", "latest")
    )
    return np.where(naive, early, instants), naive & (early != late)


def _with_clock(notation: Notation) -> list[str]:
    return [each for each in notation.date_formats if "%H" in each]


def _stamps(formats: Sequence[str]) -> list[str]:
    return [pattern(each) for each in formats] or [f"^(?:{_STAMP})$"]


def _named(formats: Sequence[str]) -> str:
    return " or ".join(formats) if formats else "YYYY-MM-DD hh:mm:ss"


def _too_fine(read: _Read, kind: ColumnType) -> Mask:
    step = 10 ** (_DIGITS - min(kind.precision if kind.precision is not None else _DIGITS, _DIGITS))
    fine: Mask = read.fine | (read.micros % step != 0)
    return fine


def _lossy(fine: Mask, kind: ColumnType) -> Masked:
    digits = kind.precision if kind.precision is not None else _DIGITS
    return Masked(fine, "precision_loss", f"{kind} keeps {digits} digits of a second's fraction")


def _first(cells: pa.StringArray, expressions: Sequence[str]) -> _Read:
    """Read each cell by the first expression that fits it."""
    read = _read(cells, expressions[0])
    for expression in expressions[1:]:
        if (read.fits | ~filled(cells)).all():
            break
        other = _read(cells, expression)
        take = other.fits & ~read.fits
        fits, *rest = (
            np.where(take, getattr(other, name), getattr(read, name))
            for name in ("fits", "days", "micros", "offset", "has_offset", "fine")
        )
        read = _Read(fits, *rest)
    return read


def _read(cells: pa.StringArray, expression: str, *, day: bool = True) -> _Read:
    found = pc.extract_regex(cells, pattern=expression)
    names = {field.name for field in found.type}
    fits = np.asarray(found.is_valid())

    def number(name: str, missing: int = 0) -> Integers:
        if name not in names:
            return np.full(len(cells), missing, np.int64)
        text = pc.fill_null(found.field(name), "")
        return np.asarray(pc.cast(pc.if_else(pc.equal(text, ""), str(missing), text), pa.int64()))

    days = np.zeros(len(cells), np.int64)
    if day:
        year, month = number("Y"), number("m", 1)
        if "y" in names:
            year = number("y") + np.where(number("y") >= _CENTURY, 1900, 2000)
        for name, length in (("b", 3), ("B", None)):
            if name in names:
                known = pa.array([each[:length] for each in _MONTHS])
                month = np.asarray(pc.fill_null(pc.index_in(pc.utf8_lower(found.field(name)), known), -1), np.int64) + 1
        fits, days = _days(fits, year, month, number("d", 1))
    hour, minute, second = number("H"), number("M"), number("S")
    fits = fits & (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004
    fraction, fine = _fraction(found, names, len(cells))
    micros = ((hour * 60 + minute) * 60 + second) * _MICROS + fraction
    offset, has_offset, odd = _offsets(found, names, len(cells))
    return _Read(fits & ~odd, days, micros, offset, has_offset & fits, fine & fits)


def _days(fits: Mask, year: Integers, month: Integers, day: Integers) -> tuple[Mask, Integers]:
    """Count the days since 1970; a day that its month does not have does not fit."""
    fits = fits & (year >= 1) & (month >= 1) & (month <= len(_LENGTHS))
    year, month = np.where(fits, year, 1970), np.where(fits, month, 1)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    fits = fits & (day >= 1) & (day <= _LENGTHS[month - 1] + (leap & (month == 2)))  # noqa: PLR2004  February
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return fits, months.astype("datetime64[D]").astype(np.int64) + np.where(fits, day, 1) - 1


def _fraction(found: pa.StructArray, names: set[str], count: int) -> tuple[Integers, Mask]:
    """Return the microseconds, and which fractions have more digits than that."""
    if "f" not in names:
        return np.zeros(count, np.int64), np.zeros(count, np.bool_)
    text = pc.fill_null(found.field("f"), "")
    digits = pc.utf8_rpad(pc.utf8_slice_codeunits(text, 0, _DIGITS), _DIGITS, "0")
    rest = pc.utf8_slice_codeunits(text, _DIGITS, 1 << 10)
    return np.asarray(pc.cast(digits, pa.int64())), as_mask(pc.match_substring_regex(rest, pattern="[1-9]"))


def _offsets(found: pa.StructArray, names: set[str], count: int) -> tuple[Integers, Mask, Mask]:
    """Return the minutes east of Greenwich, which cells name them, and which name more than 18 hours."""
    if "z" not in names:
        return np.zeros(count, np.int64), np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    text = pc.fill_null(found.field("z"), "")
    plain = pc.replace_substring(pc.replace_substring_regex(text, pattern="[Zz]", replacement="+0000"), ":", "")
    padded = pc.utf8_rpad(pc.if_else(pc.equal(plain, ""), "+0000", plain), 5, "0")
    hours = np.asarray(pc.cast(pc.utf8_slice_codeunits(padded, 1, 3), pa.int64()))
    minutes = np.asarray(pc.cast(pc.utf8_slice_codeunits(padded, 3, 5), pa.int64()))
    sign = np.where(as_mask(pc.starts_with(padded, "-")), -1, 1)
    total = hours * 60 + minutes
    return sign * total, as_mask(pc.not_equal(text, "")), (minutes >= 60) | (total > 18 * 60)  # noqa: PLR2004
