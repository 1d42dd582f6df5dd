"""Memory in use, of the machine or the container, and the wait for it."""

import pytest

from anabranch.core.errors import TemporaryError
from anabranch.uploads import admission
from anabranch.uploads.memory import used_percent
from tests.uploads.sending import upload


@pytest.mark.parametrize(("container", "percent"), [
    ({}, 25),
    ({"memory.max": "max", "memory.current": "900", "memory.stat": "anon 1"}, 25),
    ({"memory.max": "1000", "memory.current": "900", "memory.stat": "inactive_file 100\nanon 800"}, 80),
])  # fmt: skip
def test_the_share_is_that_of_the_machine_or_of_a_smaller_container(tmp_path, container, percent):
    (tmp_path / "meminfo").write_text("MemTotal:  4000 kB\nMemFree: 10 kB\nMemAvailable:  3000 kB\n")
    for name, text in container.items():
        (tmp_path / name).write_text(text)

    assert used_percent(tmp_path / "meminfo", tmp_path) == pytest.approx(percent)


def test_no_file_is_begun_while_too_much_memory_is_in_use(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_bytes(b"x")
    monkeypatch.setattr(admission, "MEMORY_SECONDS", 0)

    with pytest.raises(TemporaryError, match="no file is started above 1%"):
        upload(source, tmp_path / "out", tmp_path / "work", max_memory="1%")

    assert not (tmp_path / "out").exists()
