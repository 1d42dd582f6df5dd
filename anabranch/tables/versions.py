"""What the parts of an import depend on beside their input."""

from anabranch.core import versions
from anabranch.formats.formats import LIBRARIES

ROOMS = ("core", "sources", "schema", "formats", "tables")


def code_key() -> str:
    """Fingerprint the code and the libraries that decide the rows of an import."""
    return versions.code_key(*ROOMS, libraries=LIBRARIES)
