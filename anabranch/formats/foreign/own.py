"""Readers of our own for formats of which the library's readers lose data."""

import importlib
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any
from xml.sax.saxutils import escape

from anabranch.formats.foreign.checks import strict_json
from anabranch.formats.foreign.lines import damaged, encoding_of

_UNSURE = {  # scalars of YAML that stay text: versions 1.1 and 1.2 disagree about them, or digits would be lost
    "int": re.compile(r"[:_]|^[-+]?0[b\d]"),
    "float": re.compile(r"[:_]"),
    "timestamp": re.compile(r"\.\d{6}\d*[1-9]"),
}


def read_xml(raw: io.BufferedReader, encoding: str | None, tag: str = "") -> Iterator[Any]:
    """Read the elements of this local name, or the children of the root, which must share one name, as records.

    `@` marks attributes. An element with attributes or children is a record of them, its own text under `#text`; one
    with text between its children keeps its content as XML. Children of one name are a list where they are several.
    A given encoding has precedence over the one that the text declares.
    """
    parser = ET.XMLParser(encoding=encoding)  # noqa: S314  expat bounds entities
    events: Iterator[tuple[str, ET.Element]] = ET.iterparse(raw, ("start", "end"), parser)  # noqa: S314
    path: list[ET.Element] = []
    inside = 0  # depth of the record's element, 0 outside of any
    found = ""
    for event, element in events:
        if event == "start":
            path.append(element)
            if not inside and (_local(element) == tag if tag else len(path) == 2):  # noqa: PLR2004  below the root
                inside = len(path)
            continue
        if inside == len(path):
            if not tag and found not in ("", _local(element)):
                raise damaged(f"the root holds {found!r} and {_local(element)!r}", "Name one by the option tag.")
            found, inside = _local(element), 0
            yield _value(element)
        path.pop()
        if not inside and path:
            path[-1].remove(element)  # what is done needs no memory
        elif not path and not found and (tag or element.attrib or (element.text or "").strip()):
            raise damaged(f"there is no element {tag or 'below the root'!r}", "Name one by the option tag.")


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _value(element: ET.Element) -> Any:
    children, text = list(element), element.text or ""
    if not children and not element.attrib:
        return text if text.strip() else None
    record: dict[str, Any] = {f"@{name.rpartition('}')[2]}": value for name, value in element.items()}
    if len(record) != len(element.attrib):  # names that differ by their namespace only
        record = {f"@{name}": value for name, value in element.items()}
    if any(part.strip() for part in [text if children else "", *(child.tail or "" for child in children)]):
        content = escape(text) + "".join(ET.tostring(child, encoding="unicode") for child in children)
        return {**record, "#text": content} if record else content
    groups: dict[str, list[Any]] = {}
    for child in children:
        groups.setdefault(_local(child), []).append(_value(child))
    record |= {name: values if len(values) > 1 else values[0] for name, values in groups.items()}
    return {**record, "#text": text} if text.strip() else record


def read_geojson(raw: io.BufferedReader, encoding: str | None) -> Iterator[Any]:
    """Read the features of a collection, or the one feature that the file is."""
    told = encoding_of(raw, encoding)  # before the start, which names it, is read
    found = strict_json(raw.read().decode(told))
    kind = found.get("type") if isinstance(found, dict) else None
    if kind == "FeatureCollection" and isinstance(found.get("features"), list):
        yield from found["features"]
    elif kind == "Feature":
        yield found
    else:
        raise damaged("it is neither a feature nor a collection of features")


def read_yaml(raw: io.BufferedReader, encoding: str | None) -> Iterator[Any]:
    """Read the documents of a file, or the items of those that are lists; 00123, 1_000 and 12:30:45 are text."""
    yaml = importlib.import_module("yaml")  # an extra
    safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is not everywhere

    def mapping(loader: Any, node: Any, deep: bool = False) -> Any:
        written = [key.value for key, _ in node.value if isinstance(key.value, str) and key.value != "<<"]
        if len(set(written)) != len(written):
            raise ValueError(f"a key occurs twice{node.start_mark}")
        return safe.construct_mapping(loader, node, deep)

    strict: Any = type("Strict", (safe,), {"construct_mapping": mapping})
    for kind, unsure in _UNSURE.items():
        construct = _text_where(unsure, getattr(safe, f"construct_yaml_{kind}"))
        strict.add_constructor(f"tag:yaml.org,2002:{kind}", construct)
    with io.TextIOWrapper(raw, encoding_of(raw, encoding)) as text:
        for document in yaml.load_all(text, strict):
            if isinstance(document, list):
                yield from document
            elif document is not None:
                yield document


def _text_where(unsure: re.Pattern[str], construct: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda loader, node: node.value if unsure.search(node.value) else construct(loader, node)


def read_cbor(raw: io.BufferedReader, _encoding: str | None) -> Iterator[Any]:
    """Read the items of a file, one after the other, or those of lists among them."""
    content = io.BytesIO(raw.read())
    decoder = importlib.import_module("cbor2").CBORDecoder(content)  # an extra
    while content.tell() < len(content.getbuffer()):
        item = decoder.decode()
        yield from item if isinstance(item, list) else [item]
