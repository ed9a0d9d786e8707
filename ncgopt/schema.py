"""The JSON Schema of reports, made from the dataclasses that they are written from."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from ncgopt.report import SCHEMA_VERSION, Report

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: Mapping[type, dict[str, object]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    str: {"type": "string"},
    # JSON knows no NaN or infinity: `to_json` writes them as text.
    float: {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}]},
}


def report_schema() -> dict[str, object]:
    """Schema of what `optimize --report FILE.json` writes: a report, or a list of them.

    Fields may be added without a new version, hence others than these are allowed; each of these is always there.
    """
    definitions: dict[str, object] = {}
    one = _of(Report, definitions)
    return {
        "$schema": _DIALECT,
        "$id": f"urn:ncgopt:report:{SCHEMA_VERSION}",
        "title": f"Report of ncgopt, version {SCHEMA_VERSION}",
        "anyOf": [one, {"type": "array", "items": one}],
        "$defs": dict(sorted(definitions.items())),
    }


def _of(hint: Any, definitions: dict[str, object]) -> dict[str, object]:
    """The schema of a type; a class gets a definition of its own."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [{"type": "null"} if one is types.NoneType else _of(one, definitions) for one in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (list, tuple):
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    return _record(hint, definitions)


def _record(cls: type[Any], definitions: dict[str, object]) -> dict[str, object]:
    name = cls.__name__
    if name not in definitions:
        definitions[name] = {}  # it may hold itself
        hints = typing.get_type_hints(cls)
        said = _attributes(cls)
        properties: dict[str, object] = {}
        for field, hint in hints.items():
            properties[field] = {**_of(hint, definitions), **({"description": said[field]} if field in said else {})}
        properties.update({"schema_version": {"const": SCHEMA_VERSION}} if name == Report.__name__ else {})
        definitions[name] = {
            "description": inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " "),
            "type": "object",
            "properties": properties,
            "required": list(properties),
        }
    return {"$ref": f"#/$defs/{name}"}


def _attributes(cls: type[Any]) -> dict[str, str]:
    """What the docstring says of each attribute; `a, b: ...` says it of both."""
    _, _, text = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    said: dict[str, str] = {}
    for names, what in re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", text, re.MULTILINE):
        said.update(dict.fromkeys((name.strip() for name in names.split(",")), " ".join(what.split())))
    return said
