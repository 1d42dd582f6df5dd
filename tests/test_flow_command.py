"""The command that a workload's options model becomes: switches, lists of words, names, paths."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
from cyclopts import App, UnknownOptionError
from pydantic import BaseModel, Field

from anabranch.command.command import flow_command
from anabranch.command.workloads import PARSE_LOGS
from anabranch.core.config import Words
from anabranch.core.errors import AnabranchError, UsageError
from anabranch.logs.options import LogOptions


class TableOptions(BaseModel):
    columns: Annotated[Words[str], Field(description="Columns.")] = ["a"]
    header: Annotated[bool, Field(description="Whether there is one.")] = True
    quick: Annotated[bool, Field(description="Whether to hurry.")] = False


class SeveralOptions(BaseModel):
    more: list[str] = []


class ColliderOptions(BaseModel):
    workers: int = 1


class Checked(Exception):  # noqa: N818  what a workload's check is given
    pass


def check(source, output, options):
    raise Checked(source, output, options)


@pytest.fixture
def given():
    """Run the command up to the workload's check; return what the check is given."""
    app = App(result_action="return_value")
    app.default(flow_command(replace(PARSE_LOGS, options=f"{__name__}:TableOptions", check=f"{__name__}:check")))

    def run(*words):
        with pytest.raises(Checked) as seen:
            app(words, exit_on_error=False, print_error=False)
        return seen.value.args

    run.app = app
    return run


def test_each_output_after_the_first_goes_to_the_options_of_a_workload_that_has_several(monkeypatch, tmp_path):
    app = App(result_action="return_value")
    workload = replace(PARSE_LOGS, options=f"{__name__}:SeveralOptions", check=f"{__name__}:check")
    app.default(flow_command(replace(workload, further_outputs="more")))
    monkeypatch.chdir(tmp_path)
    for words, output, more in (
        ([], None, []),
        (["--output", "1"], f"{tmp_path}/1", []),
        (["--output", "1", "--output", "2,x", "--output", "/3"], f"{tmp_path}/1", [f"{tmp_path}/2,x", "/3"]),
    ):
        with pytest.raises(Checked) as seen:
            app(["a.csv", *words], exit_on_error=False, print_error=False)
        assert seen.value.args == ([f"{tmp_path}/a.csv"], output, SeveralOptions(more=more))
    with pytest.raises(UnknownOptionError):
        app(["a.csv", "--more", "2"], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(("words", "expected"), [
    ([], TableOptions()),
    (["--no-header"], TableOptions(header=False)),
    (["--header", "--quick"], TableOptions(quick=True)),
    (["--columns", "b, c,b"], TableOptions(columns=["b", "c"])),
])  # fmt: skip
def test_a_models_fields_are_options_of_the_command(given, words, expected):
    assert given("a.csv", *words)[2] == expected


def test_only_what_is_on_can_be_turned_off(given):
    with pytest.raises(UnknownOptionError):
        given.app(["a.csv", "--no-quick"], exit_on_error=False, print_error=False)


def test_an_option_named_like_one_of_every_flow_is_refused():
    with pytest.raises(ValueError, match="workers"):
        flow_command(replace(PARSE_LOGS, options=f"{__name__}:ColliderOptions"))


@pytest.mark.parametrize("name", ["ログ\u3000保管", "a\u00a0b", "👩\u200d🔧", "\u200eabc", "été"])
def test_any_name_that_people_write_is_a_path(given, tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)

    assert given(f"{name}.tar", "--output", f"{name}/")[:2] == (
        [str(tmp_path / name / f"{name}.tar")], f"{tmp_path / name / name}/"
    )  # fmt: skip


@pytest.mark.parametrize("name", ["a\nb", "a\x7fb", os.fsdecode(b"a\xffb")])
def test_control_characters_and_bytes_that_are_no_utf8_are_refused_in_the_word_and_in_the_folder(
    given, tmp_path, monkeypatch, name
):
    def refused(word):
        with pytest.raises(UsageError, match="control characters"):
            given.app([word], exit_on_error=False, print_error=False)

    refused(name)
    Path(tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    refused("a.tar")


@pytest.mark.parametrize(("without", "refused"), [
    ("stdout", "a detached run has no standard output"), ("refused", "no output is named"), ("chosen", None),
])  # fmt: skip
def test_a_detached_run_needs_an_output_unless_its_workload_chooses_one(tmp_path, monkeypatch, without, refused):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    command = flow_command(replace(PARSE_LOGS, without_output=without))

    with pytest.raises(AnabranchError) as seen:
        command("a.tar", detach=True)

    assert seen.value.code == ("output-missing" if refused else "server-unreachable")
    assert refused in (seen.value.reason, None)


@pytest.mark.parametrize(("words", "output"), [
    (["a.csv", "s3://b/p/"], "s3://b/p/"), (["a.csv"], None), (["a.csv", "b.csv", "--output", "gdrive://f"], "gdrive://f"),
])  # fmt: skip
def test_the_last_word_may_be_the_output_also_an_address(words, output):
    app = App(result_action="return_value")
    ends = replace(PARSE_LOGS, ends_with_output=True, options=f"{__name__}:TableOptions", check=f"{__name__}:check")
    app.default(flow_command(ends))

    with pytest.raises(Checked) as seen:
        app(words, exit_on_error=False, print_error=False)

    assert seen.value.args[1] == output


def test_the_letters_of_the_one_core_parser_are_options_too():
    app = App(result_action="return_value")
    app.default(flow_command(replace(PARSE_LOGS, check=f"{__name__}:check")))
    words = ["a.tar", "-p", "bw", "-t", "US/Eastern", "-b", "2025-09-26 10:00", "-e", "2025-09-27"]

    with pytest.raises(Checked) as seen:
        app(words, exit_on_error=False, print_error=False)

    assert seen.value.args[2] == LogOptions(
        mode=["bw"], timezone="US/Eastern", begin="2025-09-26 10:00", end="2025-09-27"
    )
