import os

import pytest

from anabranch.core.errors import UsageError
from anabranch.files.options import ConvertOptions
from anabranch.files.targets import targets
from anabranch.sources.finding import find
from anabranch.sources.source import Source


def found(folder, *names):
    for name in names:
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(b"a\n1\n")
    return find([str(folder / "in")]).sources


def outputs(folder, *names, output="out", **options):
    """Name the outputs of such sources, relative to the output folder."""
    paths = targets(found(folder, *names), ConvertOptions(**options), str(folder / output)).values()
    return [os.path.relpath(path, folder / output) for path in paths]


def refused(folder, *names, **options):
    with pytest.raises(UsageError) as error:
        outputs(folder, *names, **options)
    assert {path.name for path in folder.iterdir()} <= {"in", "out", "elsewhere"}  # nothing was made
    return error.value.code


def test_an_output_is_named_as_its_source_and_lies_in_the_same_subfolder(tmp_path):
    names = ["2025/01/data.csv.gz", "2025/b.v2.jsonl", "c", "report.2024", "d.csv"]

    assert outputs(tmp_path, *names) == [
        "2025/01/data.parquet",
        "2025/b.v2.parquet",
        "c.parquet",
        "d.parquet",
        "report.2024.parquet",
    ]
    assert outputs(tmp_path, to="csv.gz")[0] == "2025/01/data.csv.gz"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{stem}.x", ["data.x", "top.x"]),
        ("{name}.x", ["data.csv.gz.x", "top.jsonl.x"]),
        ("{ext}/{stem}", ["csv.gz/data", "jsonl/top"]),
        ("{parent}/{stem}-{stem}.x", ["sub/data-data.x", "top-top.x"]),
        ("all/{parent}/{stem}.x", ["all/sub/data.x", "all/top.x"]),
    ],
)
def test_a_pattern_names_the_outputs(pattern, expected, tmp_path):
    assert outputs(tmp_path, "sub/data.csv.gz", "top.jsonl", pattern=pattern) == expected


def test_combined_there_is_one_output(tmp_path):
    assert set(outputs(tmp_path, "a.csv", "b.csv", output="new/all.csv", to="csv", combine=True)) == {"."}


@pytest.mark.parametrize(
    ("names", "pattern", "code"),
    [
        (["a.csv", "a.jsonl"], None, "same-output"),
        (["x/a.csv", "y/a.csv"], "{stem}.x", "same-output"),
        (["a.csv"], "../{stem}.x", "output-outside"),
        (["a.csv"], "/{stem}.x", "output-outside"),
        (["a.csv"], "x/../../{stem}", "output-outside"),
        (["a.csv"], "{stem}/", "output-outside"),
        (["a.csv"], "{parent}", "output-outside"),
        (["a.csv"], "x\0{stem}", "output-outside"),
        (["a.csv"], "{date}.x", "pattern-unknown"),
        (["a.csv"], "{stem:>9}", "pattern-unknown"),
        (["a.csv"], "{stem}}.x", "pattern-unknown"),
        (["a.csv"], "{stem.__class__}", "pattern-unknown"),
        (["manifest.csv"], "{stem}.json", "output-reserved"),
        (["a.csv"], "{stem}.quarantine.jsonl", "output-reserved"),
        (["a.csv"], "{stem}" + "x" * 255, "output-not-writable"),
    ],
)
def test_names_that_cannot_be_are_refused(names, pattern, code, tmp_path):
    assert refused(tmp_path, *names, pattern=pattern) == code


def test_both_sources_of_one_output_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"in/x/a\.csv and .*in/y/a\.csv would both be written to .*out/a\.parquet"):
        outputs(tmp_path, "x/a.csv", "y/a.csv", pattern="{stem}.parquet")


def test_an_output_cannot_be_a_folder_of_others(tmp_path):
    sources = [*found(tmp_path / "1", "data"), *found(tmp_path / "2", "data/x")]

    with pytest.raises(UsageError, match="same-output"):
        targets(sources, ConvertOptions(pattern="{parent}/{name}"), str(tmp_path / "out"))


def test_two_names_that_links_make_one_are_refused(tmp_path):
    (tmp_path / "out/x").mkdir(parents=True)
    (tmp_path / "out/y").symlink_to("x")

    assert refused(tmp_path, "x/a.csv", "y/a.csv") == "same-output"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/x").symlink_to(tmp_path / "elsewhere")

    assert refused(tmp_path, "x/a.csv") == "output-outside"


@pytest.mark.parametrize("combine", [False, True])
def test_an_output_that_is_a_source_is_refused_also_through_links(combine, tmp_path):
    (tmp_path / "elsewhere").symlink_to("in")
    output = "elsewhere/a.csv" if combine else "elsewhere"

    assert refused(tmp_path, "a.csv", to="csv", output=output, combine=combine) == "output-is-source"


def test_a_hard_link_to_a_source_is_no_output(tmp_path):
    found(tmp_path, "a.csv")
    (tmp_path / "out").mkdir()
    os.link(tmp_path / "in/a.csv", tmp_path / "out/a.parquet")

    assert refused(tmp_path, "a.csv") == "output-is-source"


def test_an_output_that_is_no_regular_file_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out/a.parquet")
    (tmp_path / "out/b.parquet").symlink_to("nowhere")
    (tmp_path / "out/c.parquet").mkdir()

    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / "in" / "a.csv").unlink(missing_ok=True)
        (tmp_path / "in" / "b.csv").unlink(missing_ok=True)
        assert refused(tmp_path, name) == "output-not-a-file"


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_bytes(b"")

    assert refused(tmp_path, "a.csv") == "output-not-a-folder"
    assert refused(tmp_path, "a.csv", output="out/below") == "output-not-writable"


@pytest.mark.parametrize("output", ["out", "new/"])
def test_combined_the_output_is_no_folder(output, tmp_path):
    (tmp_path / "out").mkdir()
    sources = found(tmp_path, "a.csv")

    with pytest.raises(UsageError, match="output-not-a-file"):
        targets(sources, ConvertOptions(combine=True), f"{tmp_path}/{output}")


def test_outputs_are_local(tmp_path):
    with pytest.raises(UsageError, match="output-not-local") as error:
        targets(found(tmp_path, "a.csv"), ConvertOptions(), "s3://user:secret@bucket/out")
    assert "secret" not in str(error.value)
    assert list(targets(found(tmp_path, "a.csv"), ConvertOptions(), f"file://{tmp_path}/out").values()) == [
        tmp_path / "out/a.parquet"
    ]


def test_remote_sources_are_named_without_their_query(tmp_path):
    source = Source("http://user:secret@host/x/a.csv.gz?sign=secret/b", "a.csv.gz", 1, "")

    assert targets([source], ConvertOptions(), str(tmp_path)) == {source.path: tmp_path / "a.parquet"}


@pytest.mark.parametrize(("pattern", "named"), [("{day}.csv", "{day}"), ("x{day", "{day"), ("{stem}}.x", "}")])
def test_only_the_word_that_stands_for_nothing_is_named(tmp_path, pattern, named):
    with pytest.raises(UsageError) as refused:
        targets(found(tmp_path, "a.csv"), ConvertOptions(pattern=pattern), str(tmp_path / "out"))

    assert f"the pattern has {named!r}," in refused.value.reason
