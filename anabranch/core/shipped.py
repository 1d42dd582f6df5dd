"""Files of the project that are shipped with the package: in the wheel beside its modules, in a checkout above them."""

import re
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
PACKAGES = _PACKAGE.parent
"""The folder that holds anabranch, flows and tasks."""

_PAGE = re.compile(r"^### `([^`]+)`\n(.*?)(?=\n###? |\Z)", re.MULTILINE | re.DOTALL)  # of docs/errors.md


def shipped(name: str) -> Path:
    """Return the path of a file such as `prefect.yaml` or `docs/errors.md`."""
    in_wheel = _PACKAGE / "shipped" / name
    return in_wheel if in_wheel.exists() else PACKAGES / name


@cache
def error_pages() -> dict[str, str]:
    """Return what docs/errors.md says about each error code, as Markdown."""
    found = _PAGE.findall(shipped("docs/errors.md").read_text(encoding="utf-8"))
    return {code: text.strip() for code, text in found}
