"""What runs are called, from their parameters as a form, a command or a flow has them; nothing secret is in a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.utilities.names import generate_slug

from anabranch.core.argument_files import shortened
from anabranch.logs.options import LogOptions
from anabranch.run.naming import _is_made_up, name_of, started_by

LOGS, TABLE = LogOptions(mode="md,bw"), {"into": "env:DB", "table": "people"}


@pytest.mark.parametrize(("flow", "source", "output", "options", "name"), [
    ("parse-logs", "/logs/nightly.tar.bz2", None, {"mode": ["md"]}, "nightly.tar.bz2 md"),
    ("parse-logs", "/a/b.tar /c.tar", None, LOGS, "b.tar and 1 more md,bw"),
    ("convert-files", "inbox/", "x/", {"to": "parquet"}, "inbox to parquet"),
    ("run-pipeline", "a.csv", "x/", {"function": "shop:score"}, "a.csv through shop:score"),
    ("upload-files", "/out", "sftp://me:secret@host:22/x/", None, "out to sftp://host:22"),
    ("upload-files", "/out", "/mnt/store/", {}, "out to store"),
    ("extract-gps", "sftp://me:secret@host/homes", "photos.csv", None, "homes to photos.csv"),
    ("extract-gps", "sftp://me:secret@host", None, None, "host"),
    ("import-table", "a.csv", None, TABLE, "a.csv into people"),
    ("convert-files", "https://u:secret@h/d/a.csv?sig=secret#secret", None, None, "a.csv"),
    ("convert-files", "zip://a.csv::https://u:secret@h/b.zip", None, None, "a.csv"),
    ("convert-files", "https://[secret", None, None, "URL"),
    ("another", "", None, None, ""),
])  # fmt: skip
def test_a_run_is_named_after_its_source_and_what_becomes_of_it(flow, source, output, options, name):
    parameters = {"source": source.split(), "output": output, "options": options}

    assert name_of(flow, parameters) == f"{flow} {name}".strip()


def test_a_long_list_of_sources_is_looked_up_for_the_name(tmp_path):
    source = shortened([f"/logs/{number:05}.tar" for number in range(2000)], tmp_path)

    assert len(source) == 1
    assert name_of("parse-logs", {"source": source}) == "parse-logs 00000.tar and 1,999 more"


@pytest.mark.parametrize(("name", "made_up"), [
    ("gamma81-iadora-z", True), ("alpha-andromedae", True), ("majestic-leech", True),
    ("nightly-import", False), ("winter-run", False), ("import of March", False), ("gamma", False), ("", False),
])  # fmt: skip
def test_a_name_that_a_person_gave_is_told_from_one_that_prefect_made_up(name, made_up):
    assert _is_made_up(name) is made_up


def test_every_name_that_prefect_makes_up_is_known():
    assert all(_is_made_up(generate_slug(2)) for _ in range(500))


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_name_is_one_printable_line_of_bounded_length(source, output):
    name = name_of("upload-files", {"source": [source], "output": output})

    assert len(name) < 200
    assert name.isprintable()


@pytest.mark.parametrize(("described", "by"), [
    ({"auto_scheduled": True, "tags": [], "deployment_id": "1"}, "schedule"),
    ({"tags": ["ad-hoc"], "deployment_id": None}, "command"),
    ({"tags": ["logs", "detached"], "deployment_id": "1"}, "detached command"),
    ({"tags": ["logs", "retry"], "deployment_id": "1"}, "retry"),
    ({"tags": ["logs"], "deployment_id": "1"}, "form"),
    ({"tags": [], "deployment_id": None}, "program"),
])  # fmt: skip
def test_what_started_a_run_is_recognised(described, by):
    assert started_by(described) == by
