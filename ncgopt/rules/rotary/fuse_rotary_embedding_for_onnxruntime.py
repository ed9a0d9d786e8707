"""Fuse a rotary position embedding written in pieces into ONNX Runtime's own operator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from ncgopt.rewrite import Claim, Rule, Tape
from ncgopt.rules.rotary import _rotation
from ncgopt.rules.rotary._rotation import Match
from ncgopt.settings import Target


class FuseRotaryEmbeddingForOnnxruntime(Rule[Match]):
    """`x cos + rotate_half(x) sin` becomes `com.microsoft` `RotaryEmbedding`.

    The operator wants the half of each table that says all, `[positions, size / 2]`, and looks rows up
    from the position that its second input names: the first here, as the tables are those of x.
    """

    name = "fuse-rotary-embedding-for-onnxruntime"
    claim = Claim.ROUNDS
    root = "Add"
    since_opset = 7
    targets = frozenset({Target.ONNXRUNTIME})
    requires = _rotation.REQUIRES
    pays = _rotation.PAYS

    def match(self, node: ir.Node) -> Match | None:
        """Bind x and the tables."""
        return _rotation.match(node)

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value]:
        """One RotaryEmbedding, and the halves of the tables, which other heads share."""
        tables = [half.build(tape) for half in m.halves]
        first = tape.constant(np.zeros(1, dtype=np.int64))
        return [tape.op("RotaryEmbedding", [m.x, first, *tables], domain="com.microsoft")]
