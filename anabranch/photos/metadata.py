"""What a photo's metadata says, gathered from its Exif block and its XMP."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from anabranch.photos import exif, xmp
from anabranch.photos.view import Block, DamageError

LATITUDE, LONGITUDE = 2, 4
# Their XMP has no height above take-off and no gimbal's angles: it is read only where the Exif block has no position.
PLAIN_MAKERS = (
    "apple", "samsung", "google", "canon", "nikon", "huawei", "xiaomi", "oneplus", "motorola", "fujifilm", "olympus",
    "om digital", "panasonic", "ricoh", "pentax", "nokia", "hmd", "oppo", "vivo", "honor", "casio", "leica",
)  # fmt: skip


@dataclass(slots=True)
class Metadata:
    """The tags of the Exif block, the properties of the XMP, and what could not be read of them."""

    tags: exif.Tags = field(default_factory=exif.Tags)
    xmp: Mapping[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def positioned(self) -> bool:
        """Whether the Exif block has a latitude and a longitude."""
        return LATITUDE in self.tags.gps and LONGITUDE in self.tags.gps

    @property
    def complete(self) -> bool:
        """Whether nothing more need be read: where the Exif block has the position, only a drone's XMP adds to it."""
        if self.xmp and (self.positioned or any(name in self.xmp for name in xmp.POSITION)):
            return True
        return self.positioned and self.tags.text(exif.MAKE).lower().startswith(PLAIN_MAKERS)

    def add_exif(self, block: Block) -> None:
        """Take an Exif block, with or without its JPEG header; one that is damaged becomes a fault."""
        try:
            if block.get(0, 5) == b"Exif\0":
                block = Block(block.view, block.start + 6, block.length and block.length - 6)
            tags = exif.walk(block)
        except DamageError as error:
            self.faults.append(str(error))
            return
        if not self.positioned:  # a second block counts where the first one has no position
            tags.main, tags.exif, tags.gps = self.tags.main | tags.main, self.tags.exif | tags.exif, tags.gps
            self.tags = tags
        self.faults += tags.faults
        if tags.xmp is not None and (not self.complete or tags.xmp.knows(0, tags.xmp.length or 0)):
            self.add_xmp(tags.xmp)

    def add_xmp(self, block: Block) -> None:
        """Take an XMP block; the first of each property counts."""
        try:
            self.xmp = dict(xmp.properties(block)) | dict(self.xmp)
        except DamageError as error:
            self.faults.append(f"its XMP cannot be read: {error}")
