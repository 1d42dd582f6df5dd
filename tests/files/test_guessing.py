"""The remedy of a text that is not UTF-8 names a likely encoding, which is never applied."""

import pytest

from anabranch.sources.guessing import hint
from tests.files.converting import convert

GERMAN = "id,name\n1,M\u00fcller\n2,Caf\u00e9 cr\u00e8me\n3,Stra\u00dfe\n"
RUSSIAN = "id,name\n" + "1,\u041c\u043e\u0441\u043a\u0432\u0430 \u0438 \u041a\u0430\u0437\u0430\u043d\u044c\n" * 9


@pytest.mark.parametrize(
    ("text", "encoding", "options", "code"),
    [
        (GERMAN, "cp1252", {}, "bad-row"),
        (RUSSIAN, "cp1251", {}, "bad-row"),
        (RUSSIAN.replace("id,", "\u0438,"), "cp1251", {}, "header-encoding"),
        (RUSSIAN, "cp1251", {"encoding": "utf-8"}, "bad-row"),
        (RUSSIAN * 2 + "1,x", "cp1251", {"encoding": "cp932"}, "undecodable"),
    ],
)
def test_a_likely_encoding_is_named(text, encoding, options, code, tmp_path):
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))

    [error] = convert(tmp_path / "a.csv", tmp_path / "out", work_dir=tmp_path / "work", **options).errors

    assert error.code == code
    assert f"It looks like {encoding}" in error.remedy


@pytest.mark.parametrize("data", [b"", b"plain", "\u00e9t\u00e9".encode(), b"\xe9"])
def test_nothing_is_named_where_nothing_is_likely(data):
    assert hint(data) == ""
