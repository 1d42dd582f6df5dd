"""The head of a delimited file in; its dialect, its columns and their least types out."""

import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from anabranch.core.errors import SourceError, UsageError
from anabranch.formats.delimited.parsing import read_text
from anabranch.formats.delimited.rows import Rows
from anabranch.formats.headers import header_warnings
from anabranch.formats.model import Dialect, Look
from anabranch.formats.options import ReadOptions
from anabranch.schema import narrowing
from anabranch.schema.schema import unique_names
from anabranch.sources.guessing import hint

DELIMITERS = (",", ";", "\t", "|", "^", "~", "\x1f", "\x01")  # of equally good ones the first
_SNIFFED = 200  # lines
_SEP_LINE = re.compile(rb'(?i)"?sep=([\x09\x20-\x21\x23-\x7e])"?\r?\n')
_NO_DECIMAL = re.compile(rb"(?<!\d),|,(?!\d)")


def look_delimited(head: bytes, whole: bool, options: ReadOptions, format: str) -> Look:  # noqa: A002  as in Look
    """Find out from its head, decompressed, how a file is written; `whole` says that there is no more of it.

    Raises SourceError for a file that holds no row, for a header that is not whole or not UTF-8, and for columns of
    one name, unless they may be renamed; UsageError for a character that cannot be a delimiter or a quote.
    """
    begin = len(BOM_UTF8) if head.startswith(BOM_UTF8) else 0
    if line := _SEP_LINE.match(head, begin):  # by which a spreadsheet tells another of its delimiter
        begin = line.end()
        options = options if options.delimiter else options.model_copy(update={"delimiter": line[1].decode()})
    begin = _after_lines(head, begin, options.skip_rows)
    body = head[begin:]
    dialect = _dialect(body, options, format)
    rows = _rows(body, dialect, options.head)
    if whole and not len(rows.start):
        raise SourceError("empty-source", "the file holds no row", "Leave it out, or fetch it again.")
    dialect = replace(dialect, newline=rows.newline)
    known = len(rows.start) - int(not whole and not rows.complete)
    names, warnings = _names(rows, body, known, options)
    dialect = replace(dialect, trailing=_trails(rows, known, dialect))
    start = rows.end(0) if dialect.header else 0
    sample = body[start : rows.end(min(known, options.head + int(dialect.header)) - 1)] if known else b""
    return Look(
        format=format,
        dialect=dialect,
        data_start=begin + start,
        names=names,
        schema=_schema(sample, dialect, names, options, whole and known == int(dialect.header)),
        warnings=(*warnings, *(["it holds NUL characters"] if b"\0" in body else [])),
    )


def _schema(sample: bytes, dialect: Dialect, names: Sequence[str], options: ReadOptions, empty: bool) -> pa.Schema:
    """Return the narrowest types that hold the rows that are not broken; text where no row says better."""
    if empty or options.infer == "none":
        return pa.schema([(name, pa.string()) for name in names])
    rows = Rows(sample, dialect)
    broken = rows.broken(names)
    text = read_text(rows.without([broken[row] for row in sorted(broken)]), dialect, names, options)
    return pa.schema([(name, narrowing.least(cells, options.rules.manner)) for name, cells in text.items()])


def _names(rows: Rows, body: bytes, known: int, options: ReadOptions) -> tuple[tuple[str, ...], list[str]]:
    if not options.header:
        width = _most_common(rows.cells[:known].tolist() or [1])
        return tuple(f"column{number}" for number in range(1, width + 1)), []
    if not known or (rows.unclosed and len(rows.start) == 1):
        remedy = "Look for a quote that is never closed; if quotes have no meaning in this file, use --quote ''."
        raise SourceError("header-incomplete", f"the header does not end within {len(body)} bytes", remedy)
    header = rows.without([])[: rows.end(0)]
    try:
        header.decode()
    except UnicodeDecodeError as error:
        reason = f"the header is not UTF-8: {error.reason} at byte {error.start}"
        remedy = f"Name the file's encoding with --encoding. {hint(body)}".rstrip()
        raise SourceError("header-encoding", reason, remedy) from error
    if b"\0" in header:
        remedy = "Name the encoding with --encoding, such as utf-16-le; leave out files that are not text."
        raise SourceError("header-encoding", "the header holds NUL characters, as UTF-16 and binary files do", remedy)
    width = int(rows.cells[0])
    cells = read_text(header, rows.dialect, [str(place) for place in range(width)], ReadOptions())
    found = [column[0].as_py() or "" for column in cells.values()]
    names, warnings = unique_names(found, rename=options.duplicate_columns == "rename")
    return names, [*warnings, *header_warnings(found)]


def _trails(rows: Rows, known: int, dialect: Dialect) -> bool:
    """Whether the rows end with a delimiter after which the header names no column."""
    if not dialect.header or known <= 1:
        return False
    more = rows.cells[1:known] - rows.cells[0]
    trailing = (more == 1) & rows.trail[1:known]
    return bool(not (more == 0).any() and 2 * trailing.sum() > len(trailing))


def _dialect(body: bytes, options: ReadOptions, format_: str) -> Dialect:
    quote = '"' if options.quote is None else options.quote
    given = options.delimiter or ("\t" if format_ == "tsv" else "")
    marks = [mark for mark in (given, quote, options.escape, options.comment) if mark]
    for mark in marks:
        if not mark.isascii() or mark in "\r\n" or marks.count(mark) > 1:
            raise UsageError(
                "bad-delimiter",
                f"{mark!r} cannot be distinguished from other text as a delimiter, quote, escape or comment",
                "Choose another ASCII character with --delimiter, --quote, --escape or --comment.",
            )
    dialect = Dialect(
        given,
        quote,
        header=options.header,
        padded=options.short_rows == "pad",
        escape=options.escape or "",
        comment=options.comment or "",
    )
    lines = _lines(body, _SNIFFED)
    dialect = dialect if given else replace(dialect, delimiter=_delimiter(lines, dialect))
    return replace(dialect, spaced=_is_spaced(lines, dialect, whole=len(lines) == len(body)))


def _is_spaced(lines: bytes, dialect: Dialect, *, whole: bool) -> bool:
    """Whether blanks precede quotes of cells, and every quote has its meaning once these blanks are left out."""
    if not dialect.quote or dialect.delimiter == " " or f" {dialect.quote}".encode() not in lines:
        return False
    plain, spaced = Rows(lines, dialect), Rows(lines, replace(dialect, spaced=True))
    if not spaced.is_spaced or (whole and spaced.unclosed):
        return False
    width = int(spaced.cells[0]) if dialect.header else _most_common(spaced.cells.tolist())
    return spaced.sound and bool((spaced.cells == width).mean() >= (plain.cells == width).mean())


def _rows(body: bytes, dialect: Dialect, head: int) -> Rows:
    """Find the rows: those of the first lines, where they hold the header, so many more and another, and else all."""
    lines = _lines(body, 2 * head + 2) if dialect.header else body  # without, all tell how many columns there are
    rows = Rows(lines, dialect)
    enough = len(rows.start) > max(head, 1) + 1 and rows.newline == "\n"  # so that no row further on could tell more
    return rows if enough or lines is body else Rows(body, dialect)


def _after_lines(head: bytes, begin: int, count: int) -> int:
    """Return the place after so many lines, blank ones included."""
    newline = b"\n" if b"\n" in head else b"\r"
    for _ in range(count):
        begin = head.find(newline, begin) + 1 or len(head)
    return begin


def _lines(body: bytes, count: int) -> bytes:
    """Return the first lines."""
    end = 0
    for _ in range(count):
        end = body.find(b"\n", end) + 1
        if not end:
            return body
    return body[:end]


def _delimiter(lines: bytes, dialect: Dialect) -> str:
    """Choose the delimiter that gives the most rows as many cells as the header has; then, the most cells.

    Any other delimiter that fits as well is preferred to a comma that is only between digits: it may separate whole
    numbers from their fractions.
    """
    scores = {}
    for mark in DELIMITERS:
        if mark.encode() in lines and mark not in (dialect.quote, dialect.escape, dialect.comment):
            cells = Rows(lines, replace(dialect, delimiter=mark)).cells
            if not cells.size:
                continue
            width = int(cells[0]) if dialect.header else _most_common(cells.tolist())
            others = cells[1:] if dialect.header else cells
            if width > 1 and (not others.size or others.max() > 1):
                share = float((others == width).mean()) if others.size else 1.0
                scores[mark] = (share, mark != "," or bool(_NO_DECIMAL.search(lines)), width)
    return max(scores, key=lambda mark: scores[mark], default=",")


def _most_common(numbers: Sequence[int]) -> int:
    return Counter(numbers).most_common(1)[0][0]
