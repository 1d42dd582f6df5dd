"""What a user may choose for a conversion: the form, the command's options and the reference come from here."""

from typing import Annotated, Self

from pydantic import Field

from anabranch.core.forms import Grouped
from anabranch.core.rejects import PATTERN
from anabranch.formats.options import DELIMITED, READING, WRITING, ReadOptions, WriteOptions


class ConvertOptions(ReadOptions, WriteOptions, Grouped):
    """How the sources are read, and what is written."""

    groups = {**READING, **WRITING}

    max_rejects: Annotated[
        str | None,
        Field(
            pattern=PATTERN,
            description="Records that may be set aside or skipped: N, or P% of those of the run. Beyond that, the "
            "files that have some fail. Default: any number, unless no record of an output is left.",
        ),
    ] = None

    @property
    def code(self) -> str:
        """Fingerprint the user's own code on which the rows depend."""
        return ""

    def for_format(self, name: str) -> Self:
        """Keep every cell's text as it is where delimited text becomes delimited text, unless a schema is given."""
        if name in DELIMITED and self.to.partition(".")[0] in DELIMITED and not self.schema_file:
            return self.model_copy(update={"infer": "none"})
        return self
