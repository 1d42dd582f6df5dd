"""How the options of every workload look in a form, and that they are the same options there as on the command line."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anabranch.command.workloads import WORKLOADS, load
from anabranch.core.config import RunOptions
from anabranch.core.forms import FLAT, Group, Grouped

NEEDED = {
    "run-pipeline": {"function": "builtins:dict"},
    "import-table": {"into": "sqlite:///a.db", "table": "t"},
}
MODELS = {"run": RunOptions, **{workload.name: load(workload.options) for workload in WORKLOADS}}
LONGEST = 8  # fields that stand together: about what fits on a screen


class Reading(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    sheet: Annotated[str | None, Field(description="Which sheet.")] = None
    schema_file: Annotated[str | None, Field(alias="schema", description="Which types.")] = None


class Options(Reading, Grouped):
    groups = {"reading": Group("How it is read", "All about it.", ("sheet", "schema_file"))}

    to: Literal["csv", "json"] = "csv"


def fields(model):
    """Every field of a form, with its place."""
    for name, shown in model.model_json_schema()["properties"].items():
        if "properties" in shown:
            yield from ((f"{name}.{inner}", field) for inner, field in shown["properties"].items())
        else:
            yield name, shown


def test_a_group_is_an_object_of_its_own_in_the_form_and_in_json():
    given = Options.model_validate({"to": "json", "schema": "types.json"})

    assert dict(fields(Options)).keys() == {"to", "reading.sheet", "reading.schema"}
    assert given.model_dump(mode="json", by_alias=True, exclude_unset=True) == {
        "to": "json", "reading": {"schema": "types.json"},
    }  # fmt: skip
    assert given.model_dump() == given.model_dump(mode="json", context=FLAT)
    assert given.model_dump() == {"sheet": None, "schema_file": "types.json", "to": "json"}


@pytest.mark.parametrize("given", [
    {"sheet": "A", "schema": "s"},
    {"reading": {"sheet": "A", "schema": "s"}},
    {"sheet": "A", "reading": {"schema": "s"}},
    {"sheet": "A", "schema": "s", "reading": {"sheet": "A"}},
    {"sheet": "A", "schema_file": "s", "reading": None},
])  # fmt: skip
def test_options_are_the_same_with_groups_and_without(given):
    assert Options.model_validate(given) == Options(sheet="A", schema="s")


@pytest.mark.parametrize(("given", "reason"), [
    ({"sheet": "A", "reading": {"sheet": "B"}}, "sheet is given twice, once of them within reading"),
    ({"reading": {"leaf": "B"}}, "leaf"),
    ({"reading": ["sheet"]}, "reading is a group of options"),
])  # fmt: skip
def test_what_contradicts_itself_or_is_unknown_is_refused_by_name(given, reason):
    with pytest.raises(ValidationError, match=reason):
        Options.model_validate(given)


@pytest.mark.parametrize("name", MODELS)
def test_every_form_is_short_or_in_groups_and_says_in_words_what_each_field_is(name):
    model = MODELS[name]
    shown = model.model_json_schema()["properties"]

    assert {field for group in model.groups.values() for field in group.fields} <= model.model_fields.keys()
    assert max(len(shown) - len(model.groups), *(len(group.fields) for group in model.groups.values()), 0) <= LONGEST
    for place, field in fields(model):
        assert field["description"], place
        assert field["title"][0].isupper(), place
        assert field["title"][1:] == field["title"][1:].lower(), place
    for group in model.groups.values():
        assert group.title
        assert group.description


@pytest.mark.parametrize("name", MODELS)
def test_what_the_form_sends_back_is_what_it_was_given(name):
    options = MODELS[name].model_validate(NEEDED.get(name, {}))
    sent = json.loads(options.model_dump_json(by_alias=True))

    assert MODELS[name].model_validate(sent) == options


CHOICES = [
    ("parse-logs", "timezone", {"UTC", "US/Eastern", "Europe/Berlin"}),
    ("parse-logs", "mode", {"known", "memory"}),
    ("convert-files", "to", {"parquet", "csv.gz"}),
    ("convert-files", "reading.format", {"csv", "excel"}),
    ("convert-files", "on_bad_row", {"fail", "quarantine"}),
    ("run-pipeline", "to", {"jsonl", "parquet"}),
    ("import-table", "columns.naive_timestamps", {"UTC", "Europe/Berlin"}),
    ("import-table", "on_duplicate", {"skip", "update"}),
    ("upload-files", "if_exists", {"skip-same", "overwrite"}),
    ("extract-gps", "assume", {"NE", "SW"}),
]


@pytest.mark.parametrize(("name", "place", "words"), CHOICES)
def test_a_choice_is_a_list_to_choose_from_and_every_word_of_it_is_taken(name, place, words):
    field = dict(fields(MODELS[name]))[place]
    kinds = [field, field.get("items", {}), *field.get("anyOf", ())]
    (listed,) = [kind["enum"] for kind in kinds if "enum" in kind]
    option = place.rpartition(".")[2]

    assert words <= set(listed)
    assert len(listed) == len(set(listed))
    if "default" in field and isinstance(field["default"], str):
        assert field["default"] in listed
    for word in listed[:: max(1, len(listed) // 40)]:
        MODELS[name].model_validate({**NEEDED.get(name, {}), option: word})
