"""Put the body of a local function where it is called."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from ncgopt.facts import is_kept
from ncgopt.passes._call import imports_for, settle, settled_attributes
from ncgopt.passes.base import Pass
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session, where
from ncgopt.rewrite.splice import Splicer, has_kept

# Functions of these domains stand in for operators that a runtime has kernels of its own for.
_RUNTIME_DOMAINS = ("ai.onnx", "ai.onnx.*", "com.microsoft", "com.microsoft.*", "com.ms.*")


@dataclass(frozen=True)
class InlineFunctions(Pass):
    """Replace calls of local functions by the functions' bodies.

    By default where the model has no more nodes for it: functions that are called once, and small
    ones whose copies weigh no more than their calls. Others by name. Attributes get the values of
    the call, else the function's defaults; operator sets that only the function imports are
    imported. A function stays if it imports another version of an operator set, in which one of its
    operators is defined otherwise, if its domain is one for which runtimes have kernels of their own
    (ONNX, `com.microsoft`), or if it holds something protected.
    """

    name = "inline-functions"
    claim = Claim.EXACT

    functions: tuple[str, ...] = field(
        default=(), metadata={"help": "globs over names, `name` or `domain::name`, to inline wherever they are called"}
    )
    max_nodes: int = field(default=3, metadata={"help": "largest body, in nodes, inlined at more than one call"})

    def run(self, model: ir.Model, session: Session) -> int:
        """Functions that others call come first, so that a body is final when it is copied."""
        splicer = Splicer(model, session)
        return sum(self._function(model, identifier, splicer, session) for identifier in _callees_first(model))

    def _function(self, model: ir.Model, identifier: ir.OperatorIdentifier, splicer: Splicer, session: Session) -> int:
        function = model.functions[identifier]
        calls = list(_calls(model, identifier))
        if not calls or not self._wanted(function, len(calls)):
            return 0
        count = 0
        for call, imports in calls:
            last = count == len(calls) - 1
            if self._may_inline(model, function, call, imports, session) and session.spend(self.name, where(call)):
                _inline(model, function, call, imports, splicer, last=last)
                count += 1
        if count == len(calls):
            del model.functions[identifier]
        return count

    def _wanted(self, function: ir.Function, calls: int) -> bool:
        if any(fnmatch.fnmatchcase(function.domain or "ai.onnx", glob) for glob in _RUNTIME_DOMAINS):
            return False
        named = (function.name, f"{function.domain}::{function.name}")
        if any(fnmatch.fnmatchcase(name, glob) for name in named for glob in self.functions):
            return True
        size = sum(node.op_type != "Constant" or bool(node.domain) for node in function.all_nodes())
        return calls == 1 or (size <= self.max_nodes and calls * size <= calls + size)

    def _may_inline(
        self, model: ir.Model, function: ir.Function, call: ir.Node, imports: dict[str, int], session: Session
    ) -> bool:
        if is_kept(call) or any(has_kept(node) for node in function):
            return False
        if imports_for(model, function, imports) is None:
            session.refuse(self.name, "same-opset", where(call))
            return False
        if settled_attributes(function, call) is None:
            session.refuse(self.name, "attribute-given", where(call))
            return False
        absent = {v for k, v in enumerate(function.inputs) if k >= len(call.inputs) or call.inputs[k] is None}
        fits = len(call.inputs) <= len(function.inputs) and len(call.outputs) <= len(function.outputs)
        return fits and not any(v in absent for v in function.outputs)


def _inline(
    model: ir.Model, function: ir.Function, call: ir.Node, imports: dict[str, int], splicer: Splicer, *, last: bool
) -> None:
    settled, added = settled_attributes(function, call), imports_for(model, function, imports)
    assert settled is not None
    assert added is not None
    imports.update(added)
    body = function.graph if last else splicer.copy(function.graph)
    settle(body, settled, imports, call.metadata_props)
    given = [*call.inputs, *[None] * (len(body.inputs) - len(call.inputs))]
    results = splicer.unpack(call, body, dict(zip(body.inputs, given, strict=True)))
    splicer.retire(call, results[: len(call.outputs)])


def _callees_first(model: ir.Model) -> list[ir.OperatorIdentifier]:
    order: dict[ir.OperatorIdentifier, None] = {}
    entered: set[ir.OperatorIdentifier] = set()

    def visit(identifier: ir.OperatorIdentifier) -> None:
        if identifier in entered or identifier not in model.functions:
            return
        entered.add(identifier)
        for node in model.functions[identifier].all_nodes():
            visit(node.op_identifier())
        order[identifier] = None

    for identifier in model.functions:
        visit(identifier)
    return list(order)


def _calls(model: ir.Model, identifier: ir.OperatorIdentifier) -> Iterator[tuple[ir.Node, dict[str, int]]]:
    """Every call, with the operator sets in force where it stands."""
    for node in model.graph.all_nodes():
        if node.op_identifier() == identifier:
            yield node, model.graph.opset_imports
    for function in model.functions.values():
        for node in function.all_nodes():
            if node.op_identifier() == identifier:
                yield node, function.opset_imports
