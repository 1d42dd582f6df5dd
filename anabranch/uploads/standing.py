"""What is shown of uploads besides their figures: whose they are, and the memory."""

from collections.abc import Mapping
from typing import Any

from anabranch.uploads.memory import used_percent
from anabranch.uploads.options import UploadOptions, os_user


def standing(options: UploadOptions) -> Mapping[str, Any]:
    """Return the user, and how much of the memory is in use and may be when a file is begun."""
    return {"user": options.user or os_user(), "memory": memory(options)}


def memory(options: UploadOptions | None = None) -> Mapping[str, float]:
    """Return the share of this machine's memory in use, and that above which no file is begun, in percent."""
    limit = (options or UploadOptions()).max_memory_percent
    return {"used_percent": round(used_percent(), 1), "limit_percent": limit}
