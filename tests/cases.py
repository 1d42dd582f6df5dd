"""Recorded cases: `<folder>/<workload>/manifest.json`, the folder from $ANABRANCH_CASES or tests/data."""

import json
import os
from pathlib import Path
from typing import Any


def folder(workload: str) -> Path:
    """Name the folder of a workload's cases."""
    return Path(os.environ.get("ANABRANCH_CASES") or Path(__file__).parent / "data").absolute() / workload


def cases(workload: str) -> list[dict[str, Any]]:
    """Read a workload's cases, none where the folder has no manifest: a list of them, or an object that has one."""
    manifest = folder(workload) / "manifest.json"
    found = json.loads(manifest.read_text("utf-8")) if manifest.exists() else []
    return found if isinstance(found, list) else found["cases"]
