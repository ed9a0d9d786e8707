"""Whether a newer form of an operator only adds to the older one, as far as one node is concerned.

Read off the two schemas: most new versions of an operator allow more element types, or add an
attribute or input that can be left out. A change of meaning under an unchanged signature cannot be
seen here; those are listed, each with its adapter (`adapters`).
"""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir

from ncgopt import facts

_Formal = onnx.defs.OpSchema.FormalParameter
_Option = onnx.defs.OpSchema.FormalParameterOption


def obstacle(node: ir.Node, old: onnx.defs.OpSchema, new: onnx.defs.OpSchema) -> str:
    """Why `new` does not take `node`, written for `old`, as it is; empty where it does."""
    if new.deprecated:
        return "the operator is deprecated"
    return _of_inputs(node, old, new) or _of_outputs(node, old, new) or _of_attributes(node, old, new)


def _of_inputs(node: ir.Node, old: onnx.defs.OpSchema, new: onnx.defs.OpSchema) -> str:
    if len(new.inputs) < len(old.inputs):
        return "it has fewer inputs"
    for before, after in zip(old.inputs, new.inputs, strict=False):
        if before.option != after.option and after.option != _Option.Optional:
            return f"its input {after.name} is another one"
    if any(after.option == _Option.Single for after in new.inputs[len(old.inputs) :]):
        return "it needs a further input"
    for index, value in enumerate(node.inputs):
        before, after = _formal(old.inputs, index), _formal(new.inputs, index)
        if value is not None and (before is None or after is None or not _takes(after, before, facts.dtype(value))):
            return f"input {index} may not have its element type"
    return ""


def _of_outputs(node: ir.Node, old: onnx.defs.OpSchema, new: onnx.defs.OpSchema) -> str:
    for index, value in enumerate(node.outputs):
        before, after = _formal(old.outputs, index), _formal(new.outputs, index)
        if value.name and (before is None or after is None or not _takes(after, before, facts.dtype(value))):
            return f"output {index} is another one"
    return ""


def _of_attributes(node: ir.Node, old: onnx.defs.OpSchema, new: onnx.defs.OpSchema) -> str:
    for name, after in new.attributes.items():
        before = old.attributes.get(name)
        if name in node.attributes and (before is None or before.type != after.type):
            return f"attribute {name} means something else"
        if name not in node.attributes and (
            after.required or (before is not None and _default(before) != _default(after))
        ):
            return f"attribute {name} has another default"
    for name, before in old.attributes.items():
        if name not in new.attributes and (name in node.attributes or _default(before)):
            return f"attribute {name} is gone"
    return ""


def _formal(formals: Any, index: int) -> _Formal | None:
    """The declaration of parameter number `index`; the last one repeats where it is variadic."""
    if index < len(formals):
        return formals[index]
    return formals[-1] if formals and formals[-1].option == _Option.Variadic else None


def _takes(after: _Formal, before: _Formal, dtype: ir.DataType | None) -> bool:
    """Whether `after` allows what is known to arrive, or else everything that `before` allowed."""
    allowed = set(after.types)
    if dtype is not None and f"tensor({dtype.name.lower()})" in allowed:
        return True
    return set(before.types) <= allowed


def _default(attribute: onnx.defs.OpSchema.Attribute) -> bytes:
    return attribute.default_value.SerializeToString(deterministic=True)
