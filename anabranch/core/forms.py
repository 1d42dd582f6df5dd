"""How options look in a form: choices as a list to choose from, and groups of fields; elsewhere options are flat."""

from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import Any, ClassVar, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

FLAT = {"flat": True}
"""The context in which `model_dump(mode="json", context=FLAT)` leaves the options without groups."""


class Group(NamedTuple):
    """Fields that stand together in a form."""

    title: str
    description: str
    fields: tuple[str, ...]


class Grouped(BaseModel):
    """Options that a form shows in groups, and so does JSON; they are read with groups and without."""

    model_config = ConfigDict(field_title_generator=lambda name, _: name.replace("_", " ").capitalize())

    groups: ClassVar[Mapping[str, Group]] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_groups(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        flat = {name: value for name, value in given.items() if name not in cls.groups}
        for group in cls.groups:
            inner = given.get(group) or {}
            if not isinstance(inner, Mapping):
                raise ValueError(f"{group} is a group of options")  # noqa: TRY004  pydantic reports a ValueError
            for name, value in inner.items():
                if flat.setdefault(name, value) != value:
                    raise ValueError(f"{name} is given twice, once of them within {group}")
        return flat

    @model_serializer(mode="wrap")
    def _with_groups(self, flat: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        dumped: dict[str, Any] = flat(self)
        if info.mode != "json" or info.context == FLAT:
            return dumped
        return _grouped(type(self), dumped)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe the fields of a group as those of an object of its own."""
        schema = handler(core)
        fields = handler.resolve_ref_schema(schema)
        fields["properties"] = {
            name: _described(cls.groups[name], shown) if name in cls.groups else shown
            for name, shown in _grouped(cls, fields["properties"]).items()
        }
        if cls.groups:
            fields.pop("additionalProperties", None)  # the options themselves are still read without groups
        return schema


def _grouped(model: type[Grouped], named: Mapping[str, Any]) -> dict[str, Any]:
    """Move what belongs to a group's fields into the group; the others stay in front."""
    place = {field: name for name, group in model.groups.items() for field in group.fields}
    place |= {model.model_fields[field].alias or field: name for field, name in place.items()}
    front = {name: value for name, value in named.items() if name not in place}
    groups: dict[str, dict[str, Any]] = {name: {} for name in model.groups}
    for name, value in named.items():
        if name in place:
            groups[place[name]][name] = value
    return front | {name: group for name, group in groups.items() if group}


def _described(group: Group, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "title": group.title,
        "description": group.description,
        "properties": dict(fields),
        "additionalProperties": False,
    }


def choices(words: Callable[[], Iterable[str]]) -> Callable[[dict[str, Any]], None]:
    """Let a form show words to choose from; which ones are found out when the form is made."""

    def describe(schema: dict[str, Any]) -> None:
        schema["enum"] = list(words())

    return describe


def _zones() -> list[str]:
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return ["UTC", *sorted(name for name in names if name != "UTC")]


ZONES = choices(_zones)
