"""How pyarrow is set up in a process of our own."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not looked for now", name=fullname)


def without_pandas() -> None:
    """Keep pyarrow from importing pandas, as it does at its first array, whether a frame is in sight or not.

    That takes a second and 70 MB. pyarrow looks for pandas once only, so afterwards it makes no frames in this process;
    where pandas is imported already, nothing changes.
    """
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([None])
    finally:
        sys.meta_path.remove(finder)
