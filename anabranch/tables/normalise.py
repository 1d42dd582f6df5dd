"""Keys made alike before they are compared: the same function for the file's keys and for those of the table."""

import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation

_STEPS: dict[str, Callable[[str], str]] = {
    "trim": str.strip,
    "casefold": str.casefold,
    "nfc": lambda text: unicodedata.normalize("NFC", text),
}


def normaliser(steps: Sequence[str]) -> Callable[[str], str]:
    """Return a function that carries out the steps trim, casefold and nfc in the order given."""
    functions = [_STEPS[step] for step in steps]

    def normalise(text: str) -> str:
        for function in functions:
            text = function(text)
        return text

    return normalise


def canonical(value: str | float | None) -> str | float | None:
    """Write a number so that equal ones are equal text; return what is not a number as it is."""
    if value is None:
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return value
    if not number.is_finite():
        return value
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text
