import os
import subprocess
import sys

import pyarrow as pa
import pytest

MAKE = "import pyarrow as pa; pa.array([1]); import sys; print('pandas' in sys.modules)"


@pytest.mark.parametrize(("before", "imported"), [
    ("", True),  # else the function has no reason any more
    ("from anabranch.formats.arrow import without_pandas; without_pandas(); ", False),
    ("import pandas; from anabranch.formats.arrow import without_pandas; without_pandas(); ", True),
])  # fmt: skip
def test_pyarrow_imports_pandas_at_its_first_array_unless_told_not_to(before, imported):
    done = subprocess.run([sys.executable, "-c", before + MAKE], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(imported)


def test_pandas_can_be_imported_afterwards():
    program = (
        "from anabranch.formats.arrow import without_pandas; without_pandas()\n"
        "import pandas; print(pandas.Series([1]).sum())"
    )

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(("environment", "pool"), [
    ({}, "jemalloc" if "jemalloc" in pa.supported_memory_backends() else pa.default_memory_pool().backend_name),
    ({"ARROW_DEFAULT_MEMORY_POOL": "system"}, "system"),
])  # fmt: skip
def test_memory_comes_from_where_it_is_given_back_unless_the_environment_chose(environment, pool):
    program = (
        "from anabranch.formats.arrow import prefer_jemalloc, pa; prefer_jemalloc()\n"
        "print(pa.default_memory_pool().backend_name)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )

    assert done.stdout.strip() == pool
