"""Recorded cases: `<folder>/<workload>/manifest.json`, the folder from $ANABRANCH_CASES or tests/data."""

import json
import os
from pathlib import Path
from typing import Any


def folder(workload: str) -> Path:
    """Name the folder of a workload's cases."""
    return Path(os.environ.get("ANABRANCH_CASES") or Path(__file__).parent / "data").absolute() / workload


def cases(workload: str) -> list[dict[str, Any]]:
    """Read a workload's cases: a list, or an object's `cases` or `files`; none where the folder has no manifest."""
    manifest = folder(workload) / "manifest.json"
    found = json.loads(manifest.read_text("utf-8")) if manifest.exists() else []
    return found if isinstance(found, list) else found["cases" if "cases" in found else "files"]
