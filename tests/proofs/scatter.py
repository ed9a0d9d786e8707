"""Operators that move elements and compute with them on the way: scattering that adds, interpolation, recurrent layers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from proofs.contractions import dot
from proofs.execute import MOVES, CannotExecute, Executor, NoMeaning, Value, handles
from proofs.terms import Tensor

_MOST = 64
_REDUCTIONS = {"add": "Add", "mul": "Mul", "max": "Max", "min": "Min"}


@handles("ScatterElements", "ScatterND")
def _scatter(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """One update after the other, in the order in which they come."""
    reduction = attributes.get("reduction", "none")
    if reduction == "none":
        return tuple(ex.moved(node, inputs, MOVES[node.op_type]))
    data, indices, updates = inputs
    made, at, new = data.terms(ex.arena).copy(), ex.numbers(indices), updates.terms(ex.arena)
    depth = at.shape[-1] if node.op_type == "ScatterND" else 0
    for place in np.ndindex(*(at.shape if not depth else new.shape)):
        if depth:
            to = (*at[place[: at.ndim - 1]], *place[at.ndim - 1 :])
        else:
            axis = attributes["axis"] % at.ndim
            to = (*place[:axis], at[place], *place[axis + 1 :])
        made[to] = ex.arena.make(_REDUCTIONS[reduction], data.elem, (made[to], new[place]))
    return Tensor(data.elem, made)


@handles("Resize", "Upsample")
def _resize(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """Interpolation is linear: what the reference implementation makes of each unit tensor are its coefficients."""
    x, *rest = inputs
    data = [None if value is None else ex.numbers(value) for value in rest]
    if attributes.get("mode", "nearest") == "nearest":
        return tuple(ex.moved(node, inputs, (0,)))
    if attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise NoMeaning("Resize that extrapolates")
    if x.data.size > _MOST:
        raise CannotExecute("Resize of many elements")
    terms, columns = list(x.terms(ex.arena).flat), []
    for k in range(x.data.size):
        unit = np.zeros(x.data.size, np.float32)
        unit[k] = 1
        columns.append(np.asarray(ex.reference(node, [unit.reshape(x.data.shape), *data])[0]))
    made = np.empty(columns[0].shape if columns else x.data.shape, object)
    for index in np.ndindex(*made.shape):
        used = [k for k in range(len(terms)) if columns[k][index]]
        weights = [float(columns[k][index]) for k in used]
        if weights == [1.0]:
            made[index] = terms[used[0]]
        else:
            constants = [ex.arena.constant(w, x.elem) for w in weights]
            made[index] = dot(ex, x.elem, [terms[k] for k in used], constants)
    return Tensor(x.elem, made)


@handles("LSTM", "GRU", "RNN")
def _recurrent(ex: Executor, node, attributes: dict, inputs: list) -> Value:
    """Unknown functions of everything that goes in; states that are left out are zeros, as the specification says."""
    x, w, r, *rest = inputs
    bias, lengths, *states = [*rest, *[None] * (4 - len(rest))][:4]
    if attributes.get("layout") or attributes.get("direction", "forward") == "bidirectional" or len(rest) > 4:
        raise NoMeaning("a recurrent layer with peepholes, another layout or two directions")
    steps, batch, hidden = x.data.shape[0], x.data.shape[1], r.data.shape[2]
    zeros = Tensor(x.elem, np.zeros((1, batch, hidden), onnx.helper.tensor_dtype_to_np_dtype(x.elem)))
    states = [zeros if state is None else state for state in states[: 2 if node.op_type == "LSTM" else 1]]
    if any(state.data.shape != (1, batch, hidden) for state in states):
        raise CannotExecute("a state of another shape")
    fed = [value for value in (x, w, r, bias, lengths, *states) if value is not None]
    whole = tuple(term for value in fed for term in value.terms(ex.arena).flat)
    named = (("given", tuple(v is not None for v in (bias, lengths))), ("attributes", str(sorted(attributes.items()))))
    shapes = [(steps, 1, batch, hidden), (1, batch, hidden), (1, batch, hidden)]
    found = []
    for k, name in enumerate(node.output):
        made = np.empty(shapes[k], object)
        for index in np.ndindex(*made.shape):
            made[index] = ex.arena.make(node.op_type, x.elem, whole, (*named, ("output", k), ("index", index)))
        found.append(Tensor(x.elem if name else TensorProto.UNDEFINED, made))
    return tuple(found)
