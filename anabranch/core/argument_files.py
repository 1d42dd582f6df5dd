"""Files for long lists of sources: Prefect refuses parameters above 512 KiB, and sends them along with every task."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from anabranch.core.errors import UsageError
from anabranch.core.storage import published, touch

LONGEST = 16 << 10  # bytes of JSON that stay a parameter
_FOLDER = "sources"
_MARK = "@"  # in front of the file's absolute path; a command makes paths absolute, so none begins so


def shortened(source: Sequence[str], work_dir: Path) -> list[str]:
    """Return the sources, or where there are too many the name of a file of them, which tells their digest.

    The file lies in the work folder, which every process of the run sees.
    """
    data = json.dumps(list(source)).encode()
    if len(data) <= LONGEST:
        return list(source)
    path = work_dir.absolute() / _FOLDER / f"{hashlib.blake2b(data, digest_size=16).hexdigest()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with published(path, keep_equal=True) as file:
        file.write(data)
    return [f"{_MARK}{path}"]


def expanded(source: Sequence[str]) -> list[str]:
    """Return the sources that `shortened` put into a file, and any others as they are.

    Raises UsageError "sources-gone" where the file is not there any more, or is not what it was.
    """
    if len(source) != 1 or not source[0].startswith(f"{_MARK}/"):
        return list(source)
    path = Path(source[0].removeprefix(_MARK))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _gone(path, error.strerror or str(error)) from error
    if hashlib.blake2b(data, digest_size=16).hexdigest() != path.stem:
        raise _gone(path, "its content is another")
    touch(path)  # a run that is started again finds it, too
    return [str(each) for each in json.loads(data)]


def _gone(path: Path, why: str) -> UsageError:
    remedy = "Start the run again by its command, which writes the list."
    return UsageError("sources-gone", f"the list of this run's sources cannot be read: {why}", remedy, str(path))
