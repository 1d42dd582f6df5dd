"""Files of the project that are shipped with the package: in the wheel beside its modules, in a checkout above them."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
PACKAGES = _PACKAGE.parent
"""The folder that holds anabranch, flows and tasks."""


def shipped(name: str) -> Path:
    """Return the path of a file such as `prefect.yaml` or `docs/errors.md`."""
    in_wheel = _PACKAGE / "shipped" / name
    return in_wheel if in_wheel.exists() else PACKAGES / name
