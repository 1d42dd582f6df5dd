"""The formats in which dates are written: a subset of strptime's, each directive with the text that it reads."""

import re

DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})", "y": r"(?P<y>\d{2})",
    "b": r"(?P<b>[A-Za-z]{3})", "B": r"(?P<B>[A-Za-z]{3,9})", "H": r"(?P<H>\d{1,2})", "M": r"(?P<M>\d{2})",
    "S": r"(?P<S>\d{2})", "f": r"(?P<f>\d{1,30})", "z": r"(?P<z>Z|z|[+-]\d{2}(?::?\d{2})?)", "%": "%",
}  # fmt: skip
_YEARS, _MONTHS = {"Y", "y"}, {"m", "b", "B"}


def is_format(text: str) -> bool:
    """Whether it names a day, once: %Y or %y, %m, %b or %B, and %d; perhaps with a clock: %H, %M, %S, %f, %z."""
    found = [name for name in re.findall(r"%(.?)", text) if name != "%"]
    names = set(found)
    day = len(names & _YEARS) == len(names & _MONTHS) == 1 and "d" in names
    return day and names <= DIRECTIVES.keys() and len(found) == len(names)


def pattern(format_: str) -> str:
    """Write the regular expression of a format."""
    pieces = re.split(r"%(.)", format_)
    written = [DIRECTIVES[piece] if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)]
    return f"^(?:{''.join(written)})$"
