"""The one way to read attributes: with ONNX's default for the node's own opset version.

`None` means unknown: the attribute is absent and has no default, or refers to an attribute of the
enclosing local function, whose value depends on the call.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import cast

import onnx
import onnx_ir as ir


def int_attribute(node: ir.Node, name: str) -> int | None:
    """An INT attribute or its default."""
    return cast("int | None", _read(node, name, ir.AttributeType.INT))


def float_attribute(node: ir.Node, name: str) -> float | None:
    """A FLOAT attribute or its default."""
    return cast("float | None", _read(node, name, ir.AttributeType.FLOAT))


def string_attribute(node: ir.Node, name: str) -> str | None:
    """A STRING attribute or its default."""
    return cast("str | None", _read(node, name, ir.AttributeType.STRING))


def ints_attribute(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """An INTS attribute or its default; None where the operator leaves it open."""
    value = _read(node, name, ir.AttributeType.INTS)
    return None if value is None else tuple(cast("Sequence[int]", value))


def is_set(node: ir.Node, name: str) -> bool:
    """Whether the node itself carries the attribute."""
    return name in node.attributes.data


def schema_of(node: ir.Node) -> onnx.defs.OpSchema | None:
    """The ONNX schema of the node's operator at its version; None for operators ONNX doesn't define."""
    return None if node.version is None else _schema(node.op_type, node.version, node.domain)


@functools.lru_cache(maxsize=4096)
def _schema(op_type: str, version: int, domain: str) -> onnx.defs.OpSchema | None:
    try:
        return onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None


def _read(node: ir.Node, name: str, kind: ir.AttributeType) -> object:
    attribute = node.attributes.data.get(name)
    if attribute is not None:
        return attribute.value if attribute.type == kind and not attribute.is_ref() else None
    return None if node.version is None else _default(node.op_type, node.version, node.domain, name, kind)


@functools.lru_cache(maxsize=16384)
def _default(op_type: str, version: int, domain: str, name: str, kind: ir.AttributeType) -> object:
    schema = _schema(op_type, version, domain)
    declared = None if schema is None else schema.attributes.get(name)
    if declared is None or declared.default_value.type != kind.value:
        return None
    value = onnx.helper.get_attribute_value(declared.default_value)
    return value.decode() if isinstance(value, bytes) else value
