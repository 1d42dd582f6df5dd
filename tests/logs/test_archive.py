import pytest

from anabranch.core.errors import UsageError
from anabranch.logs.archive import archives, codec_of, name_of
from tests import ordinary


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def names(*sources):
    return [name_of(source) for source in archives([str(source) for source in sources]).sources]


def test_a_folder_gives_its_archives_by_name_and_nothing_below(tmp_path):
    touch(tmp_path, "b.tar.bz2", "a.tgz", "c.TAR", "d.tar.xz", "notes.txt", "sub/e.tar")

    assert names(tmp_path) == ["a.tgz", "b.tar.bz2", "c.TAR", "d.tar.xz"]


def test_patterns_and_files_keep_their_order_and_count_once(tmp_path):
    touch(tmp_path, "a.tar", "b.tar", "sub/c.tar")

    assert names(tmp_path / "b.tar", tmp_path / "*.tar", tmp_path / "**/c.tar") == ["b.tar", "a.tar", "c.tar"]
    assert names(tmp_path / "*.zip") == []


def test_a_name_with_brackets_may_be_a_file(tmp_path):
    touch(tmp_path, "a[1].tar")

    assert names(tmp_path / "a[1].tar") == ["a[1].tar"]


def test_missing_and_special_files_and_equal_names_are_refused(tmp_path):
    touch(tmp_path, "x/a.tar", "y/a.tar")

    for sources, code in [
        ([tmp_path / "none.tar"], "source-missing"),
        ([""], "source-missing"),
        (["/dev/null"], "source-not-a-file"),
        ([tmp_path / "x", tmp_path / "y"], "same-name"),
    ]:
        with pytest.raises(UsageError) as refused:
            names(*sources)
        assert refused.value.code == code


@pytest.mark.parametrize("source", ["closed", "closed/a.tar", "closed/*.tar"])
def test_what_lies_in_a_folder_that_may_not_be_entered_is_refused(source):
    with ordinary.folder() as folder:
        touch(folder, "closed/a.tar")
        with ordinary.closed(folder / "closed"), pytest.raises(UsageError) as refused:
            names(folder / source)
    assert (refused.value.code, refused.value.reason) == ("source-unreadable", "Permission denied")


@pytest.mark.parametrize(
    ("name", "begin", "codec"),
    [
        ("unit.tar.bz2", b"", "bz2"),
        ("unitLogs_16.bz2", b"\x1f\x8b", "bz2"),
        ("unit.tbz2", b"", "bz2"),
        ("unit.tgz", b"BZh", "gz"),
        ("unit.gz", b"", "gz"),
        ("unit.dat", b"\x1f\x8b", "gz"),
        ("unit.tar", b"BZh91AY&SY", "bz2"),
        ("unit.tar", b"BZh9 is a name, too", ""),
        ("unit.tar.xz", b"\xfd7zXZ\0", "xz"),
        ("unit.tar.xz", b"messages.log", ""),
        ("unit.tar.zst", b"\x28\xb5\x2f\xfd", "zst"),
        ("unit.tar", b"", ""),
    ],
)
def test_the_suffix_decides_for_bzip2_and_gzip_and_the_first_bytes_else(name, begin, codec):
    assert codec_of(name, begin) == codec
