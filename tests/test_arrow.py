import subprocess
import sys

import pytest

MAKE = "import pyarrow as pa; pa.array([1]); import sys; print('pandas' in sys.modules)"


@pytest.mark.parametrize(("before", "imported"), [
    ("", True),  # else the function has no reason any more
    ("from anabranch.arrow import without_pandas; without_pandas(); ", False),
    ("import pandas; from anabranch.arrow import without_pandas; without_pandas(); ", True),
])  # fmt: skip
def test_pyarrow_imports_pandas_at_its_first_array_unless_told_not_to(before, imported):
    done = subprocess.run([sys.executable, "-c", before + MAKE], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(imported)


def test_pandas_can_be_imported_afterwards():
    program = (
        "from anabranch.arrow import without_pandas; without_pandas(); import pandas; print(pandas.Series([1]).sum())"
    )

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "1\n"
