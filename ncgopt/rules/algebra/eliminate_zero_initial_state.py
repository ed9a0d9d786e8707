"""Let a recurrent operator begin at zero by itself."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from ncgopt import facts
from ncgopt.facts.uniform import is_positive_zero
from ncgopt.records import record
from ncgopt.rewrite import Claim, Rule, Tape

_STATES = (5, 6)  # initial_h and, of an LSTM, initial_c


@record
class Match:
    """`outputs = LSTM(...)`, of whose initial states those at `zeros` are zero."""

    node: ir.Node
    zeros: tuple[int, ...]


class EliminateZeroInitialState(Rule[Match]):
    """`LSTM(x, w, r, b, lengths, zeros, zeros)` becomes `LSTM(x, w, r, b, lengths)`; GRU and RNN likewise.

    Without an initial state the specification begins at zero. What computes the shape of the zeros,
    the batch size of the moment, goes with them.
    """

    name = "eliminate-zero-initial-state"
    claim = Claim.EXACT
    root = ("LSTM", "GRU", "RNN", "com.microsoft::DynamicQuantizeLSTM")
    unconditional = "the specification's default for a state that is left out is zero"

    def match(self, node: ir.Node) -> Match | None:
        """Bind the states that are zero."""
        zeros = tuple(k for k in _STATES if is_positive_zero(facts.input_of(node, k)))
        return Match(node, zeros) if zeros else None

    def build(self, tape: Tape, m: Match) -> Sequence[ir.Value | None]:
        """The operator without them, and without the outputs at the end that nobody uses."""
        inputs = [None if k in m.zeros else value for k, value in enumerate(m.node.inputs)]
        used = [k for k, value in enumerate(m.node.outputs) if value.uses() or value.is_graph_output()]
        outputs = tape.multi_op(m.node.op_type, inputs, domain=m.node.domain, outputs=max(used, default=0) + 1)
        made = outputs[0].producer()
        assert made is not None
        made.attributes.update(m.node.attributes)
        return [*outputs, *[None] * (len(m.node.outputs) - len(outputs))]
