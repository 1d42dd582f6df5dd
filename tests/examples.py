"""How many examples the properties and the campaigns try."""

import os

from hypothesis import settings

SOAK_EXAMPLES = int(os.environ.get("SOAK_EXAMPLES", "2000"))
_USUAL = 100  # of a property in the suite


def examples(count: int) -> settings:
    """Try so many in the suite, where each takes long or is worth more than others; in the soak, in proportion."""
    return settings(max_examples=max(1, count * settings().max_examples // _USUAL))
