"""What a user may choose for a conversion: the form, the command's options and the reference come from here."""

from typing import Self

from anabranch.formats.options import DELIMITED, ReadOptions, WriteOptions


class ConvertOptions(ReadOptions, WriteOptions):
    """How the sources are read, and what is written."""

    @property
    def code(self) -> str:
        """Fingerprint the user's own code on which the rows depend."""
        return ""

    def for_format(self, name: str) -> Self:
        """Keep every cell's text as it is where delimited text becomes delimited text, unless a schema is given."""
        if name in DELIMITED and self.to.partition(".")[0] in DELIMITED and not self.schema_file:
            return self.model_copy(update={"infer": "none"})
        return self
