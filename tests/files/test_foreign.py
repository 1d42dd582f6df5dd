"""Further formats are read as independent readers read them, or not at all."""

import datetime as dt
import inspect
import io
import itertools
import subprocess
import sys

import pyarrow as pa
import pytest

from anabranch.core.errors import SourceError, UsageError
from anabranch.files.options import ConvertOptions
from anabranch.files.preview import check
from anabranch.formats.foreign import reading as foreign
from anabranch.formats.foreign.formats import FORMATS
from anabranch.formats.options import ReadOptions
from tests.files.foreign_samples import BSON, BSON_EXPECTED, DBF, DBF_EXPECTED, GEO, LTSV, SAMPLES, by_dbfread
from tests.held import held, more_than

OPTIONS = ReadOptions()
SELF_DELIMITING = ("bson", "cbor", "dbf", "geojson", "msgpack", "xml")
LIBRARY = [name for name, known in FORMATS.items() if known.reader]


def read(name, content, options=None, **given):
    return list(foreign.read_foreign(lambda: io.BytesIO(content), name, ReadOptions(**given), options or {}))


def test_every_format_has_a_sample():
    assert sorted(SAMPLES) == list(foreign.names())
    assert len(foreign.names()) >= 15
    assert len(LIBRARY) >= 15


@pytest.mark.parametrize("name", SAMPLES)
def test_records_are_those_of_an_independent_reader(name):
    sample = SAMPLES[name]

    assert read(name, sample.content, sample.options) == sample.expected


def test_dbf_records_are_those_of_dbfread(tmp_path):
    expected = by_dbfread(DBF, tmp_path / "a.dbf")

    assert [{**row, "EXACT": float(row["EXACT"] or 0)} for row in DBF_EXPECTED] == [
        {**row, "EXACT": row["EXACT"] or 0} for row in expected
    ]


@pytest.mark.parametrize("name", SAMPLES)
def test_an_empty_file_has_no_records(name):
    assert read(name, b"", SAMPLES[name].options) == []


@pytest.mark.parametrize(("name", "damage"), [(name, damage) for name in SAMPLES for damage in SAMPLES[name].damaged])
def test_damage_is_an_error(name, damage):
    with pytest.raises(SourceError) as caught:
        read(name, SAMPLES[name].damaged[damage], SAMPLES[name].options)

    assert caught.value.code == "format-damaged"
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("name", SELF_DELIMITING)
def test_a_cut_file_gives_the_whole_records_before_the_cut_or_an_error(name):
    sample = SAMPLES[name]
    endings = set()
    for size in range(1, len(sample.content)):
        found = []
        try:
            found.extend(_cut(name, sample, size))
            endings.add(len(found))
        except SourceError:
            pass
        assert found == sample.expected[: len(found)]

    whole = {"dbf": {len(sample.expected)}, "geojson": set(), "xml": set()}  # a mark at the end is optional in DBF
    assert endings <= whole.get(name, set(range(1, len(sample.expected))))


def _cut(name, sample, size):
    return foreign.read_foreign(lambda: io.BytesIO(sample.content[:size]), name, OPTIONS, sample.options)


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_takes_every_option_that_is_passed(name):
    reader = foreign._reader(name, FORMATS[name].reader)

    assert set(FORMATS[name].options) <= set(inspect.signature(reader).parameters)


def test_options_that_nobody_takes_are_refused():
    for name, options in {"ltsv": {"tag": "a"}, "fwf": {"widths": "1"}, "apachelog": {"log_format": "x"}}.items():
        with pytest.raises(UsageError) as caught:
            read(name, b"x", options)
        assert caught.value.code == "format-options"
    with pytest.raises(UsageError, match="format-options"):
        read("fwf", b"x", {"widths": "a", "names": "b"})


def test_a_name_that_stands_twice_is_refused():
    with pytest.raises(UsageError) as caught:
        read("fwf", b"xy", {"widths": "1,1", "names": "n,n"})
    assert (caught.value.code, caught.value.reason) == ("format-options", "fwf: a name occurs twice: n,n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_tells_the_encoding_of_geojson(encoding):
    content = '{"type": "Feature", "properties": {"a": "é"}}'.encode(encoding)

    assert read("geojson", content)[0]["properties"] == {"a": "é"}


@pytest.mark.parametrize("declared", ["", '<?xml version="1.0" encoding="utf-8"?>'])
def test_xml_is_read_in_the_encoding_that_the_user_names(declared):
    content = f"{declared}<r><i><a>é</a></i></r>".encode("latin-1")

    assert read("xml", content, encoding="latin-1") == [{"a": "é"}]


def test_options_are_written_with_semicolons():
    assert foreign.parse_options("widths=5,10; names=id,name") == {"widths": "5,10", "names": "id,name"}
    assert foreign.parse_options("tag=a=b") == {"tag": "a=b"}
    assert foreign.parse_options("") == {}


def test_every_other_format_of_the_library_is_refused_by_name():
    from iterable.helpers.detect import DATATYPE_REGISTRY

    others = set(DATATYPE_REGISTRY) - set(foreign.names())
    assert {"pickle", "sqlite", "html", "gpx"} <= others
    for name in others:
        with pytest.raises(UsageError, match="apachelog, bed") as caught:
            read(name, b"x")
        assert caught.value.code == "format-unknown"


@pytest.mark.parametrize(("name", "module"), [("ltsv", "iterable.datatypes.ltsv"), ("yaml", "yaml"), ("bson", "bson")])
def test_a_missing_package_is_named_with_the_way_to_get_it(name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(UsageError, match=r"pip install 'anabranch\[formats\]'") as caught:
        read(name, SAMPLES[name].content)
    assert caught.value.code == "format-missing"


def test_the_library_is_imported_only_when_a_file_is_read():
    script = (
        "import sys, anabranch.formats.foreign.reading; print({'iterable', 'yaml', 'bson', 'cbor2'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b.LTSV", "ltsv"), ("b.xml.gz", "xml"), ("c.yml", "yaml"), ("d.fa.zst", "fasta"), ("e.csv", None), ("f", None)],
)
def test_the_name_tells_the_format(path, name):
    assert foreign.format_of(path) == name


def test_no_extension_belongs_to_two_formats():
    every = [extension for known in FORMATS.values() for extension in known.extensions]

    assert len(every) == len(set(every))


def test_records_are_streamed():
    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            line = b"a:1\tb:2\n" * (len(buffer) // 8)
            buffer[: len(line)] = line
            return len(line)

    found = foreign.read_foreign(Endless, "ltsv", OPTIONS)

    assert list(itertools.islice(found, 100_000))[-1] == {"a": "1", "b": "2"}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_closed_when_its_reading_is_given_up(name, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(SAMPLES[name].content)
    before = held()
    found = foreign.read_foreign(lambda: path.open("rb"), name, OPTIONS, SAMPLES[name].options)

    next(found)
    assert more_than(before, settle=0) == {str(path): 1}
    found.close()
    assert not more_than(before, settle=0, kind="/")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding(encoding):
    assert read("ltsv", LTSV.encode(encoding)) == SAMPLES["ltsv"].expected


def test_the_encoding_can_be_named():
    assert read("ltsv", "a:Ж\n".encode("cp1251"), encoding="cp1251") == [{"a": "Ж"}]
    assert read("xml", '<?xml version="1.0" encoding="windows-1251"?><r><b>Ж</b></r>'.encode("cp1251")) == [
        {"value": "Ж"}
    ]


def test_xml_without_a_tag_reads_the_children_of_the_root():
    assert read("xml", b"<r><b a='1'>x</b><b><c>1</c></b></r>") == [{"@a": "1", "#text": "x"}, {"c": "1"}]
    assert read("xml", b"<r/>") == []
    for content in (b"<r><a/><b/></r>", b"<r>text</r>"):
        with pytest.raises(SourceError, match="by the option tag"):
            read("xml", content)


def test_xml_keeps_text_between_elements_and_nested_records():
    assert read("xml", b"<r><p>one <i>two &lt;</i> three</p></r>") == [{"value": "one <i>two &lt;</i> three"}]
    assert read("xml", b"<r><x><b n='1'><b n='2'/></b></x></r>", {"tag": "b"}) == [{"@n": "1", "b": {"@n": "2"}}]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("00123", "00123"), ("-017", "-017"), ("1_000", "1_000"), ("12:30:45", "12:30:45"), ("0b101", "0b101"),
        ("1:30.5", "1:30.5"), ("1_0.5", "1_0.5"), ("2024-01-01 00:00:00.123456789", "2024-01-01 00:00:00.123456789"),
        ("0", 0), ("-12", -12), ("0x1F", 31), ("1.5", 1.5), ("2024-01-01", dt.date(2024, 1, 1)),
        ("2024-01-01 00:00:00.1234560", dt.datetime(2024, 1, 1, 0, 0, 0, 123456)),  # noqa: DTZ001  it has no zone
    ],
)  # fmt: skip
def test_yaml_that_its_versions_read_differently_stays_text(written, value):
    assert read("yaml", f"- a: {written}\n".encode()) == [{"a": value}]


def test_bombs_are_refused():
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    xml = f'<!DOCTYPE r [<!ENTITY e0 "aaaaaaaaaa">{levels}]><r><b>&e9;</b></r>'
    names = "abcdefghi"
    yaml = "z: &z [x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("z" + names, names, strict=False):
        yaml += f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"

    for name, bomb in {"xml": xml, "yaml": yaml}.items():
        with pytest.raises(SourceError, match="format-damaged"):
            read(name, bomb.encode())


def test_a_file_that_is_read_as_a_whole_has_a_limit():
    content = f"[{GEO}{' ' * (65 << 20)}]".encode()

    with pytest.raises(SourceError, match="more than 64 MiB"):
        read("geojson", content)


def test_columns_get_the_least_types_of_the_first_rows():
    look = foreign.look_foreign(lambda: io.BytesIO(DBF), "dbf", OPTIONS)

    assert look.format == "dbf"
    assert look.names == ("NAME", "N", "PRICE", "EXACT", "DAY", "OK", "COUNT")
    assert look.schema.types == [
        pa.string(), pa.int64(), pa.float64(), pa.decimal128(19, 3), pa.date32(), pa.bool_(), pa.int64()
    ]  # fmt: skip


def test_tables_hold_the_records():
    tables = list(foreign.read_tables(lambda: io.BytesIO(BSON * 1000), "bson", OPTIONS))

    assert sum(table.num_rows for table in tables) == 2000
    assert max(table.num_rows for table in tables) == 1024
    assert tables[0].slice(0, 2).to_pylist() == [BSON_EXPECTED[0], dict.fromkeys(BSON_EXPECTED[0]) | {"name": "b"}]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("libsvm", "1" * 500_000 + "x"),
        ("ilp", "cpu v=" + "1" * 500_000 + "x"),
        ("bed", "c\t1\t2" + " " * 500_000),
        ("gtf", "a\tb\tc\t1\t2\t.\t+\t.\t" + 'k "v" ' * 50_000),
        ("ntriples", '<a> <p> "' + "\\n" * 200_000),
    ],
)
def test_a_long_line_that_does_not_fit_is_refused_soon(name, line):
    with pytest.raises(SourceError, match="line 1 is not understood"):  # a pattern that tries all ways would never end
        read(name, line.encode())


@pytest.mark.parametrize(
    ("options", "code"),
    [({"format": "nonsense"}, "format-unknown"), ({"format": "xml", "format_options": "row=a"}, "format-options")],
)
def test_a_format_that_cannot_be_read_is_refused_before_any_file_is_opened(tmp_path, options, code):
    (tmp_path / "a.any").write_text("")
    with pytest.raises(UsageError) as caught:
        check([str(tmp_path / "a.any")], str(tmp_path / "out"), ConvertOptions(**options))

    assert caught.value.code == code
