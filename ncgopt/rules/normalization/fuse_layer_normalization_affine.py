"""Fuse a scale or a bias into the normalization before it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.affine import producer_beside
from ncgopt.facts.constants import Array
from ncgopt.facts.rounding import representable, rounded
from ncgopt.records import record
from ncgopt.rewrite import Claim, Pays, Requires, Rule, Tape

_WITHOUT_BIAS = ("RMSNormalization", "SimplifiedLayerNormalization")


@record
class Match:
    """`out = norm * operand`, or `norm + operand`.

    Attributes:
        scale: of the normalization; None where an operand is added, which does not touch it.
        bias: of the normalization; None where it has none.
        sizes: of its normalized axes.
    """

    norm: ir.Node
    operand: ir.Value
    scale: Array | None
    bias: Array | None
    sizes: tuple[int, ...]

    @property
    def taken_over(self) -> bool:
        """Whether the operand can become the parameter as it stands: it replaces ones, or no bias."""
        plain = self.bias is None and (self.scale is None or bool((self.scale == 1).all()))
        return plain and facts.static(self.operand) == self.sizes

    @functools.cached_property
    def vector(self) -> Array | None:
        """A constant operand in float64 with the sizes of the normalized axes; None where it varies along others."""
        array, rank = facts.constant(self.operand), facts.rank(self.norm.outputs[0])
        if array is None or rank is None or array.ndim > rank:
            return None
        leading = max(array.ndim - len(self.sizes), 0)
        if any(d != 1 for d in array.shape[:leading]):
            return None
        array = array.reshape(array.shape[leading:])
        if not facts.is_broadcast_of(array.shape, self.sizes):
            return None
        return np.broadcast_to(array.astype(np.float64), self.sizes)

    @functools.cached_property
    def folded(self) -> tuple[Array | None, Array | None]:
        """New scale and bias in float64; None for what is not touched."""
        if self.vector is None:
            raise ValueError("the operand varies outside of the normalized axes")
        bias = None if self.bias is None else self.bias.astype(np.float64)
        with np.errstate(all="ignore"):
            if self.scale is None:
                return None, self.vector if bias is None else bias + self.vector
            return self.scale.astype(np.float64) * self.vector, None if bias is None else bias * self.vector

    @property
    def fits(self) -> bool:
        """Whether the new parameters fit their element type, which is that of the operand."""
        array = facts.constant(self.operand)
        if self.taken_over or array is None:
            return True
        return all(representable(c, array.dtype) for c in self.folded if c is not None)


class FuseLayerNormalizationAffine(Rule[Match]):
    """`LayerNormalization(x, s, b) * c` becomes `LayerNormalization(x, s c, b c)`; `+ c` goes into the bias.

    RMSNormalization and ONNX Runtime's SimplifiedLayerNormalization take in the scale alone.
    Parameters are computed in float64 and rounded once; an operand that is no constant is taken over
    where the old parameter is neutral.
    """

    name = "fuse-layer-normalization-affine"
    claim = Claim.ROUNDS
    root = ("Mul", "Add")
    since_opset = 7
    requires = (
        Requires[Match](
            "spans-normalized-axes",
            "the parameters have the shape of the normalized axes",
            lambda m: m.taken_over or m.vector is not None,
        ),
        Requires[Match]("representable", "the new parameters overflow", lambda m: m.fits, costly=True),
    )
    pays = (
        Pays[Match](
            "sole-user", "the normalization would be computed twice", lambda m: facts.sole_user(m.norm.outputs[0])
        ),
    )

    def match(self, node: ir.Node) -> Match | None:
        """Bind the normalization, its parameters and the other operand."""
        a, b = node.inputs
        for y, operand in ((a, b), (b, a)):
            norm = producer_beside(y, node, "LayerNormalization", *(_WITHOUT_BIAS if node.op_type == "Mul" else ()))
            if norm is None or operand is None or operand is y or len(norm.outputs) != 1:
                continue
            found = _match(norm, operand, adds=node.op_type == "Add")
            if found is not None:
                return found
        return None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """The normalization with new parameters."""
        x, *parameters = (facts.input_of(m.norm, k) for k in range(3))
        if m.taken_over:
            parameters[1 if m.scale is None else 0] = m.operand
        else:
            array = facts.constant(m.operand)
            for k, new in enumerate(m.folded):
                if new is not None and array is not None:
                    parameters[k] = tape.constant(rounded(new, array.dtype))
        return [tape.like(m.norm, [x, *(p for p in parameters if p is not None)])]


def _match(norm: ir.Node, operand: ir.Value, *, adds: bool) -> Match | None:
    """The match where the parameters are known as far as `operand` changes them, and have the full shape."""
    x, scale, bias = (facts.input_of(norm, k) for k in range(3))
    dims, axis = facts.shape(x) if x is not None else None, facts.int_attribute(norm, "axis")
    if scale is None or dims is None or axis is None:
        return None
    sizes = tuple(d for d in dims[axis:] if isinstance(d, int))
    if len(sizes) != len(dims[axis:]) or any(p is not None and facts.static(p) != sizes for p in (scale, bias)):
        return None
    arrays = (None if adds else facts.constant(scale), facts.constant(bias))
    if (not adds and arrays[0] is None) or (bias is not None and arrays[1] is None):
        return None
    return Match(norm, operand, *arrays, sizes)
