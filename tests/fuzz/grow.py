"""Making a model larger: whole seeds and single nodes are put on top of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fuzz.engine import inputs_of
from fuzz.names import prefixed
from fuzz.seeds import Constant, Graft

Values = Mapping[str, Any]
_REUSE = 0.85  # how often an existing value is taken where one fits


def splice(model: onnx.ModelProto, other: onnx.ModelProto, rng: np.random.Generator, values: Values) -> bool:
    """Put all of `other` on `model`, its inputs taken from values of the same type where they fit."""
    prefix = fresh(model, "g")
    bound: dict[str, str] = {}
    for wanted in inputs_of(other):
        fitting = [name for name, value in values.items() if _fits(value, wanted)]
        if fitting and rng.random() < _REUSE:
            bound[wanted.name] = pick(rng, fitting)
    part = prefixed(other, prefix, bound)
    taken = set(bound.values())
    model.graph.input.extend(v for v in part.graph.input if v.name not in taken)
    model.graph.initializer.extend(part.graph.initializer)
    model.graph.node.extend(part.graph.node)
    model.functions.extend(part.functions)
    _import(model, other)
    if rng.random() < 0.6:
        _hide_outputs(model, taken)
    model.graph.output.extend(part.graph.output)
    return True


def put_node(model: onnx.ModelProto, graft: Graft, rng: np.random.Generator, values: Values) -> bool:
    """Put one node of a seed on values of the types it had there, of whatever shapes."""
    stem = fresh(model, "n")
    names: list[str] = []
    for index, want in enumerate(graft.wants):
        if want is None:
            names.append("")
        elif isinstance(want, Constant):
            names.append(f"{stem}c{index}")
            model.graph.initializer.append(numpy_helper.from_array(want.array, names[-1]))
        else:
            fitting = _alike(values, *want)
            if not fitting:
                return False
            names.append(pick(rng, fitting))
    node = onnx.NodeProto()
    node.CopyFrom(graft.node)
    node.name = ""
    node.input[:] = names
    node.output[:] = [f"{stem}o{index}" if name else "" for index, name in enumerate(graft.node.output)]
    model.graph.node.append(node)
    if node.domain and not any(o.domain == node.domain for o in model.opset_import):
        model.opset_import.append(helper.make_opsetid(node.domain, 1))
    if rng.random() < 0.6:
        _hide_outputs(model, set(names))
    model.graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    return bool(node.output[0])


def fresh(model: onnx.ModelProto, stem: str) -> str:
    """A prefix that no name of the model has."""
    names = {v.name for v in model.graph.input} | {t.name for t in model.graph.initializer}
    names |= {name for node in model.graph.node for name in node.output} | {f.name for f in model.functions}
    number = 0
    while any(name.startswith(f"{stem}{number}_") for name in names):
        number += 1
    return f"{stem}{number}_"


def pick(rng: np.random.Generator, options: Any) -> Any:
    """One of a sequence (numpy's own choice would make arrays of it)."""
    return options[int(rng.integers(len(options)))]


def _fits(value: Any, wanted: onnx.ValueInfoProto) -> bool:
    tensor = wanted.type.tensor_type
    if not isinstance(value, np.ndarray) or not tensor.elem_type:
        return False
    if value.dtype != helper.tensor_dtype_to_np_dtype(tensor.elem_type):
        return False
    if not tensor.HasField("shape"):
        return True
    dims = tensor.shape.dim
    pairs = zip(dims, value.shape, strict=False)
    return len(dims) == value.ndim and all(not d.HasField("dim_value") or d.dim_value == n for d, n in pairs)


def _alike(values: Values, dtype: np.dtype, shape: tuple[int, ...]) -> list[str]:
    """Values of the type; those of the same rank alone where there are any."""
    typed = {name: v for name, v in values.items() if isinstance(v, np.ndarray) and v.dtype == dtype}
    ranked = [name for name, v in typed.items() if v.ndim == len(shape)]
    return ranked or list(typed)


def _hide_outputs(model: onnx.ModelProto, used: set[str]) -> None:
    """What has become an input of something else is no output of the model any more."""
    kept = [v for v in model.graph.output if v.name not in used]
    del model.graph.output[:]
    model.graph.output.extend(kept)


def _import(model: onnx.ModelProto, other: onnx.ModelProto) -> None:
    known = {o.domain for o in model.opset_import}
    model.opset_import.extend(o for o in other.opset_import if o.domain not in known)
    model.ir_version = max(model.ir_version, other.ir_version)
