"""The demo of extract-gps: photos with positions, served over SFTP on loopback, and their positions extracted."""

from pathlib import Path

from anabranch.core.demo import Run, Say, Show, Steps
from anabranch.photos.sample import write_photos
from anabranch.photos.sample_server import serving

PHOTOS = 240
_SIZE = 5_000_000  # bytes of each photo, nearly all of them a hole
_SHOWN = 4  # rows


def demo(folder: Path) -> Steps:
    """Write photos unless they are there, serve them, extract their positions, and show the first rows of the table."""
    photos = folder / "photos"
    if not photos.exists():
        yield Say(f"writing {PHOTOS} photos of drones with 5 MB each: {photos}")
        aside = folder / ".part.photos"  # renamed when whole
        write_photos(aside, PHOTOS, kinds=("jpeg", "jpeg_notes", "dng", "heic"), without=4, size=_SIZE)
        aside.rename(photos)
    table = folder / "photos.csv"
    with serving(photos) as served:
        yield Say(f"serving them at {served.url}")
        words = ("extract-gps", f"{served.url}homes", "--host-key", served.host_key, "--output", str(table))
        yield Run(words, {"SFTP_PASSWORD": served.password})
    rows = [
        ",".join(line.split(",")[2:3] + line.split(",")[5:12]) for line in table.read_text().splitlines()[: _SHOWN + 1]
    ]
    yield Show("\n".join([f"--- the start of {table}, some of its columns:", *rows]))
    yield Show("The run's page, under Artifacts, shows the flight path and the heights along it.")
