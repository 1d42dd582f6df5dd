"""What the results of a conversion depend on beside its input."""

from anabranch.core import versions
from anabranch.formats.formats import LIBRARIES

ROOMS = ("core", "sources", "schema", "formats", "files")


def code_key() -> str:
    """Fingerprint the code and the libraries that decide the bytes of a conversion."""
    return versions.code_key(*ROOMS, libraries=LIBRARIES)
