"""What a pass is: a change that needs the whole graph, wrapped in checks it cannot skip."""

from __future__ import annotations

import abc
import inspect
from typing import Any, ClassVar

import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import UnsoundRewrite
from ncgopt.rewrite import integrity
from ncgopt.rewrite.rule import Claim
from ncgopt.rewrite.session import Session


class Pass(ir.passes.InPlacePass):
    """A whole-graph rewrite. Subclasses are frozen dataclasses; their fields are their options.

    The command line, TOML and the generated documentation read those fields: each carries its help
    as `field(default=..., metadata={"help": "..."})`.

    Class attributes:
        name: kebab-case; the same stem as the file.
        claim: how equal the result is (`ncgopt.rewrite.rule.Claim`).
        changes_interface: whether inputs and outputs may change, which only passes do that the
            user asked for by name.
        closing: whether the pass waits until nothing else changes anything, as `Rule.closing` does.
    """

    name: ClassVar[str] = ""
    claim: ClassVar[Claim]
    changes_interface: ClassVar[bool] = False
    closing: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a pass that says too little about itself."""
        super().__init_subclass__(**kwargs)
        if inspect.isabstract(cls):
            return
        lacks = [what for what in ("name", "claim", "__doc__") if not cls.__dict__.get(what)]
        if lacks:
            raise TypeError(f"pass {cls.__name__} lacks: {', '.join(lacks)}")

    @abc.abstractmethod
    def run(self, model: ir.Model, session: Session) -> int:
        """Change `model` in place, asking `session.spend` before every change; returns their number."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Run the pass, then check what it left behind.

        A model that it did not touch needs no check: the pass before answered for it.

        Raises:
            UnsoundRewrite: the model is malformed, its interface changed, or the number of changes
                the pass reports and what happened to the graph contradict each other.
        """
        session = Session.of(model)
        before, interface = session.structure or integrity.snapshot(model), integrity.interface(model)
        changes = self.run(model, session)
        after = integrity.snapshot(model)
        changed = before != after
        if changed:
            own = integrity.interface(model) if self.changes_interface else interface
            integrity.check(model, own, f"pass {self.name}")
            facts.survey(model)
        if changed != (changes > 0):
            raise UnsoundRewrite(f"pass {self.name} reports {changes} changes, which is not what it did; a bug in it")
        if session.structure is not None:
            session.structure = after
        return ir.passes.PassResult(model, changed)
