"""All steps together: whatever the cutting and the order, the reports are those of one pass over the whole."""

import bz2
import gzip
import pickle
import random
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.errors import Stopped
from anabranch.core.parts import Outcome
from anabranch.logs.join import join
from anabranch.logs.modes import FORMS
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import plan
from anabranch.logs.sample import write_sample
from anabranch.logs.unpack import survey
from anabranch.logs.work import work
from anabranch.sources.unpack import unpack
from tests.examples import examples
from tests.logs.archives import START, flow, line, tar_of, write
from tests.logs.pipeline import outcomes, parse_logs

BW = LogOptions(mode="bw")
ALL = LogOptions(mode=list(FORMS), timezone="US/Eastern")


def reports(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Two archives: one of many bzip2 blocks, one with plain logs, odd line breaks, a damaged and an empty member."""
    folder = tmp_path_factory.mktemp("archives")
    write_sample(folder / "plain.tar", megabytes=0.6, members=3, seed=5)
    (folder / "blocks.tar.bz2").write_bytes(bz2.compress((folder / "plain.tar").read_bytes(), 1))
    (folder / "plain.tar").unlink()
    text = b"".join(flow(number) for number in range(400)) + line(START) + line()
    mixed = {
        "messages.log.4": text.replace(b"\n", b"\r\n"),
        "messages.log.3.gz": gzip.compress(text)[:-5],
        "messages.log.2": text.replace(b"\n", b"\r"),
        "messages.log.1": b"",
        "messages.log": text[:-1] + b"\xff",
    }
    write(folder / "mixed.tar", mixed)
    return folder


@pytest.fixture(scope="module")
def expected(archives, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    parse_logs([str(archives)], folder / "out", ALL, folder / "work")
    return reports(folder / "out")


@examples(15)
@given(
    seed=st.integers(),
    threads=st.integers(1, 9),
    piece=st.integers(60, 40_000),
    smallest=st.sampled_from([1e-5, 1e-3, 1.0]),
    whole=st.sampled_from([0, 1 << 30]),
)
def test_any_cutting_and_any_order_give_the_same_bytes(
    archives, expected, tmp_path_factory, *, seed, threads, piece, smallest, whole
):
    folder = tmp_path_factory.mktemp("run")
    with (
        patch("anabranch.logs.plan._PIECE", piece),
        patch("anabranch.logs.plan._LOOK", 50),
        patch("anabranch.logs.unpack._WHOLE", whole),
        patch("anabranch.core.batches.SMALLEST_PART", smallest),
    ):
        parse_logs([str(archives)], folder / "out", ALL, folder / "work", threads=threads, order=random.Random(seed))

    assert reports(folder / "out") == expected


def test_the_reports_of_each_mode_alone_are_those_of_all_modes(archives, expected, tmp_path):
    for mode in FORMS:
        options = ALL.model_copy(update={"mode": [mode]})
        parse_logs([str(archives)], tmp_path / mode, options, tmp_path / "work")

        assert reports(tmp_path / mode).items() <= expected.items()


def test_parts_are_small_cover_every_piece_once_and_have_keys_of_their_own(archives, tmp_path):
    with patch("anabranch.logs.unpack._WHOLE", 0), patch("anabranch.core.batches.SMALLEST_PART", 1e-5):
        slices = survey([str(archives)], tmp_path, 3)
        logs = plan(slices, outcomes(unpack, slices.parts), ALL, 3)

    parts = [*slices.parts, *logs.parts]
    assert len(slices.parts) > 1
    assert [index for part in logs.parts for index in range(part.first, part.stop)] == list(range(8))
    assert all(len(pickle.dumps(part)) < 4096 and pickle.loads(pickle.dumps(part)) == part for part in parts)
    assert len({part.key for part in parts}) == len(parts)
    assert all(part.cost > 0 for part in parts)


@pytest.mark.parametrize(
    "change", [{"mode": ["bw"]}, {"timezone": "UTC"}, {"begin": "2025-09-26 10:00"}, {"end": "2025-09-26 10:00"}]
)
def test_other_options_give_other_keys(change, archives, tmp_path):
    slices = survey([str(archives)], tmp_path, 2)
    unpacked = outcomes(unpack, slices.parts)
    keys = [plan(slices, unpacked, options, 2).parts[0].key for options in (ALL, ALL, ALL.model_copy(update=change))]

    assert keys[0] == keys[1] != keys[2]


def keys(folder, text, name="unit.tar.gz"):
    folder.mkdir()
    slices = survey([write(folder / name, {"messages.log": text})], folder, 2)
    logs = plan(slices, outcomes(unpack, slices.parts), ALL, 2)
    return slices.parts[0].key, logs.parts[0].key


def test_the_key_follows_the_bytes_and_not_the_folder(tmp_path):
    first, again, other = (keys(tmp_path / name, flow(total)) for name, total in (("a", 1), ("b", 1), ("c", 2)))

    assert first[0] == again[0] != other[0]
    assert first[1] == again[1] != other[1]


def test_the_name_counts_where_the_text_may_show_it(tmp_path):
    first, renamed = keys(tmp_path / "a", flow(1)), keys(tmp_path / "b", flow(1), "other.tar.gz")

    assert first[0] == renamed[0]
    assert first[1] != renamed[1]


def test_a_slice_from_the_cache_is_read_where_it_lies(tmp_path):
    one, two = (write(tmp_path / f"{name}.tar.gz", {"messages.log": flow(1)}) for name in "ab")
    earlier = survey([one], tmp_path / "work", 1)
    (known,) = outcomes(unpack, earlier.parts)
    slices = survey([two], tmp_path / "work", 1)
    (part,) = slices.parts
    assert (part.key, slices.folder != earlier.folder) == (known.part.key, True)

    logs = plan(slices, [Outcome(part, manifest=known.manifest, cached=True)], ALL, 1)
    logs.save()
    report = join(logs, outcomes(work, logs.parts), str(tmp_path / "out") + "/")

    assert (report.items["bw"], report.parts.cached) == (1, 1)


def test_a_thousand_small_archives_make_few_parts(tmp_path):
    sources = [write(tmp_path / f"{number:03}.tar.gz", {"messages.log": flow(number)}) for number in range(300)]
    broken = tmp_path / "150.tar.gz"
    broken.write_bytes(broken.read_bytes()[:-8])

    slices = survey(sources, tmp_path / "work", 2)
    report = parse_logs(sources, tmp_path / "out", BW, tmp_path / "work")

    assert len(slices.parts) <= 2
    assert report.items["bw"] == 300
    assert [error.part for error in report.errors] == ["150.tar.gz"]


def test_doing_everything_again_writes_the_same_bytes(archives, expected, tmp_path):
    for _ in range(2):
        parse_logs([str(archives)], tmp_path / "out", ALL, tmp_path / "work")

        assert reports(tmp_path / "out") == expected
    assert not list(tmp_path.rglob("*.part"))


def test_a_survey_writes_nothing(archives, tmp_path):
    survey([str(archives)], tmp_path / "work", 2)

    assert not (tmp_path / "work").exists()


def test_names_from_the_archive_never_become_paths(tmp_path):
    hostile = {
        name: line() for name in ("../messages.log.1", "/etc/messages.log.2", "messages.log.../../x", "messages.log")
    }
    (tmp_path / "evil.tar").write_bytes(tar_of(hostile))
    before = set(tmp_path.parent.rglob("*"))

    parse_logs(
        [str(tmp_path / "evil.tar")], tmp_path / "report", ALL.model_copy(update={"mode": ["bw"]}), tmp_path / "work"
    )

    written = {
        path.name for path in set(tmp_path.parent.rglob("*")) - before if not path.is_relative_to(tmp_path / "work")
    }
    assert written == {"report"}
    assert (tmp_path / "report").read_text().count("Stream end") == 1


def test_work_stops_between_blocks_and_leaves_nothing(archives, tmp_path):
    slices = survey([str(archives)], tmp_path, 2)
    with pytest.raises(Stopped):
        unpack(slices.parts[0], lambda: True)
    assert not list(tmp_path.rglob("*.text"))
    logs = plan(slices, outcomes(unpack, slices.parts), ALL, 2)
    logs.save()
    before = set(tmp_path.rglob("*"))
    with pytest.raises(Stopped):
        work(logs.parts[0], lambda: True)
    assert set(tmp_path.rglob("*")) == before


def test_nothing_found_is_an_empty_plan(tmp_path):
    (tmp_path / "empty").mkdir()
    report = parse_logs([str(tmp_path / "empty")], tmp_path / "out", ALL, tmp_path / "work")

    assert report.status == "nothing_to_do"
    assert report.outputs == []


def test_a_sample_of_equal_arguments_has_equal_bytes_and_something_for_every_mode(tmp_path):
    for suffix in (".tar", ".tar.gz", ".tar.bz2", ".tar.xz"):
        paths = [Path(tmp_path / f"{number}{suffix}") for number in range(2)]
        for path in paths:
            write_sample(path, megabytes=0.6, members=3)
        assert paths[0].read_bytes() == paths[1].read_bytes()

        report = parse_logs([str(paths[0])], tmp_path / f"out{suffix}", ALL, tmp_path / "work")
        assert report.status == "completed"
        assert report.items["pieces"] == 3
        assert all(report.items[mode] > 0 for mode in FORMS)
        assert report.items["blank"] == report.items["undecodable"] == report.items["untimed"] == 0
