"""Rules and passes that are wrong on purpose, for the tests that show that each is caught."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np
import onnx_ir as ir

from ncgopt.passes import PASSES
from ncgopt.passes.base import Pass
from ncgopt.rewrite import Claim, Rule
from ncgopt.rules import RULES
from ncgopt.runtime import Worker


@dataclass(frozen=True)
class Found:
    x: ir.Value
    node: ir.Node


class _Wrong(Rule[Found]):
    """Fires at every root."""

    name = "wrong"
    claim = Claim.EXACT
    root = "Neg"
    unconditional = "a test wants it wrong"

    def match(self, node):
        return Found(node.inputs[0], node)

    def build(self, tape, m):
        return [m.x]


class WrongForBatches(_Wrong):
    """A sum over all samples so far, which is the sample itself where there is only one."""

    name = "wrong-for-batches"
    root = "Identity"

    def build(self, tape, m):
        return [tape.op("CumSum", [m.x, tape.constant(np.array(0, np.int64))])]


class WrongForNegatives(_Wrong):
    """`Abs(x)` is `Relu(x)` for positive numbers only."""

    name = "wrong-for-negatives"
    root = "Abs"

    def build(self, tape, m):
        return [tape.op("Relu", [m.x])]


class WrongWhenOptimized(_Wrong):
    """`x + 0.0` makes 0.0 of -0.0, until ONNX Runtime's own optimizations take the addition out."""

    name = "wrong-when-optimized"
    root = "Where"

    def build(self, tape, m):
        return [tape.op("Add", [m.node.inputs[2], tape.constant(np.zeros(1, np.float32))])]


class RaisesInMatch(_Wrong):
    """An exception where none may be."""

    name = "raises-in-match"
    root = "Abs"

    def match(self, node):
        raise LookupError("no such thing")


class CrashesInBuild(_Wrong):
    """Takes the child process down while it looks at a node."""

    name = "crashes-in-build"
    root = "Abs"

    def build(self, tape, m):
        with Worker() as worker:
            worker.call("os:abort")
        return [m.x]


class LoopsForever(_Wrong):
    """Never comes to an end."""

    name = "loops-forever"
    root = "Abs"

    def match(self, node):
        while True:
            pass


class WrongWithAnother(_Wrong):
    """Fires only where another rewrite has been made before."""

    name = "wrong-with-another"
    root = "Exp"

    def match(self, node):
        producer = node.inputs[0].producer()
        alone = producer is not None and producer.op_type == "Abs" and producer.inputs[0].is_graph_input()
        return Found(node.inputs[0], node) if alone else None

    def build(self, tape, m):
        return [tape.op("Softplus", [m.x])]


@dataclass(frozen=True)
class _WrongPass(Pass):
    """Changes something once."""

    name = "wrong-pass"
    claim = Claim.EXACT
    where = "somewhere"

    def run(self, model, session):
        if not self.finds(model) or not session.spend(self.name, self.where):
            return 0
        self.spoil(model, session)
        return 1

    def finds(self, model) -> bool:
        return True

    def spoil(self, model, session) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class DropsUnusedInput(_WrongPass):
    """Nobody uses it, but callers feed it."""

    name = "drops-unused-input"
    claim = Claim.EXACT

    def finds(self, model):
        return any(not value.uses() for value in model.graph.inputs)

    def spoil(self, model, session):
        model.graph.inputs.remove(next(value for value in model.graph.inputs if not value.uses()))


@dataclass(frozen=True)
class RenamesOutput(_WrongPass):
    """A tidier name than the one that callers ask for."""

    name = "renames-output"
    claim = Claim.EXACT

    def finds(self, model):
        return model.graph.outputs[0].name != "tidy"

    def spoil(self, model, session):
        model.graph.outputs[0].name = "tidy"


@dataclass(frozen=True)
class FreezesRandomNormal(_WrongPass):
    """One draw for all runs."""

    name = "freezes-random-normal"
    claim = Claim.EXACT

    def finds(self, model):
        return any(node.op_type.startswith("RandomNormal") for node in model.graph)

    def spoil(self, model, session):
        node = next(node for node in model.graph if node.op_type.startswith("RandomNormal"))
        drawn = ir.tensor(np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32))
        constant = ir.Node("", "Constant", [], [ir.AttrTensor("value", drawn)], num_outputs=1, version=node.version)
        constant.outputs[0].name = session.fresh_name("frozen")
        model.graph.insert_before(node, constant)
        ir.convenience.replace_all_uses_with(node.outputs[0], constant.outputs[0])
        model.graph.remove(node, safe=True)


@dataclass(frozen=True)
class MakesDimStatic(_WrongPass):
    """As if the batch were always one."""

    name = "makes-dim-static"
    claim = Claim.EXACT

    def finds(self, model):
        return not isinstance(model.graph.inputs[0].shape[0], int)

    def spoil(self, model, session):
        value = model.graph.inputs[0]
        value.shape = ir.Shape([1, *list(value.shape)[1:]])


@dataclass(frozen=True)
class MakesDimStaticUnchecked(MakesDimStatic):
    """The same from a pass that may change the interface, so that only the contract is left to notice."""

    name = "makes-dim-static-unchecked"
    claim = Claim.EXACT
    changes_interface = True


@dataclass(frozen=True)
class CrashesChild(_WrongPass):
    """Takes the child process down after it changed something."""

    name = "crashes-child"
    claim = Claim.EXACT

    def spoil(self, model, session):
        session.worker.call("os:abort")


@dataclass(frozen=True)
class RaisesAtOnce(_WrongPass):
    """Fails before it has changed anything."""

    name = "raises-at-once"
    claim = Claim.EXACT

    def finds(self, model):
        raise ZeroDivisionError("nothing to divide")


def plant(monkeypatch, *faults: Rule | type[Pass]) -> None:
    """Add rules to all rules, and passes to the end of the default preset."""
    # `ncgopt.pipeline.catalog` as an attribute is the function of that name.
    catalog, presets, plan = (import_module(f"ncgopt.pipeline.{name}") for name in ("catalog", "presets", "plan"))
    rules = [fault for fault in faults if isinstance(fault, Rule)]
    passes = [fault for fault in faults if not isinstance(fault, Rule)]
    monkeypatch.setattr(catalog, "RULES", (*RULES, *rules))
    monkeypatch.setattr(catalog, "PASSES", (*PASSES, *passes))
    default = (*presets.PRESETS["default"], *(p.name for p in passes))
    monkeypatch.setattr(plan, "PRESETS", {**presets.PRESETS, "default": default})
