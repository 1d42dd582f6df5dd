"""Numbers that environment variables set."""

import os
import re

from anabranch.core.errors import UsageError


def number_set(variable: str) -> int | None:
    """Return the whole number that a variable sets; None where it is not set or empty.

    Raises UsageError "bad-option" where it is no number, or zero.
    """
    text = os.environ.get(variable)
    if not text:
        return None
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise UsageError("bad-option", f"it is {text!r}", "Give a whole number, 1 or more.", variable)
    return int(text)
