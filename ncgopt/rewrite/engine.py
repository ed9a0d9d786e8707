"""Applies rules to a model until none of them fires any more; for a rule, nothing else changes a graph.

It walks every graph of the model (main, subgraphs, local functions), evaluates every guard and notes the
first that refuses, checks what `build` returns (`acceptance`), and has it put in place (`installation`).
Which nodes it visits is the work list's business (`worklist`): after the first time only those around a change.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import NcgoptError, UnsoundRewrite
from ncgopt.facts.nesting import graphs_within
from ncgopt.rewrite.acceptance import check
from ncgopt.rewrite.installation import anchored, install
from ncgopt.rewrite.rule import Guard, Rule
from ncgopt.rewrite.session import Session, all_nodes, describe, where
from ncgopt.rewrite.tape import Tape
from ncgopt.runtime import WorkerDied
from ncgopt.settings import Target

AnyRule = Rule[Any]
RULES = "rules"
"""What the engine as a whole is called, outside of any single rule."""


class Engine:
    """Applies rules until none of them fires any more.

    Args:
        rules: tried at each node in this order.
        target: rules that do not serve it are left out.
        without: guards, `(rule, guard)`, to take as holding; tests use it to show that a guard matters.
    """

    def __init__(
        self, rules: Iterable[AnyRule], target: Target, *, without: frozenset[tuple[str, str]] = frozenset()
    ) -> None:
        self._by_root: dict[str, list[AnyRule]] = {}
        self._guards: dict[str, list[Guard[Any]]] = {}
        for rule in rules:
            if target in rule.targets:
                for root in rule.roots:
                    self._by_root.setdefault(root, []).append(rule)
                self._guards[rule.name] = sorted((*rule.requires, *rule.pays), key=lambda guard: guard.costly)
        self._names = frozenset(self._guards)
        self._without = without
        self._redefined: set[tuple[str, str]] = set()

    def rules_at(self, node: ir.Node) -> Sequence[AnyRule]:
        """The rules whose patterns end in the operator of `node`."""
        return self._by_root.get(_operator(node), ())

    def run(self, model: ir.Model) -> Counter[str]:
        """Rewrite `model` in place; returns how often each rule fired.

        Raises:
            UnsoundRewrite: a rule returned values of another number, element type or shape, or the
                rules undo each other without end.
        """
        session = Session.of(model)
        fired: Counter[str] = Counter()
        ceiling = 20 * sum(1 for _ in all_nodes(model)) + 1000
        worklist, everything = session.worklist, False
        while not worklist.is_complete(self._names, len(session.rewrites)):
            session.watchdog.enter(RULES)
            facts.survey(model)
            nodes = worklist.scan(all_nodes(model), self._names, everything=everything)
            before = fired.total()
            self._visit_all(nodes, model, session, fired, ceiling)
            if session.exhausted:
                break
            everything = False
            if fired.total() == before:
                worklist.found_nothing(self._names, len(session.rewrites))
                if not session.thorough:
                    break
                everything = True  # what only a change further away made possible
        return fired

    def apply_at(self, model: ir.Model, node: ir.Node, rule: AnyRule) -> bool:
        """Apply one rule at one node, once; whether it was applied. `facts.survey` must have been called for `model`.

        Raises:
            UnsoundRewrite: the rule broke a promise.
        """
        session = Session.of(model)
        assert node.graph is not None
        imports = _opsets_by_graph(model).get(node.graph, {})
        self._redefined = {(function.domain, function.name) for function in model.functions.values()}
        if (node.version or 1) < rule.since_opset or facts.is_kept(node):
            return False
        try:
            proposal = self._proposal(rule, node, imports, session)
        except Exception as error:
            session.fault(rule.name, where(node), _attributed(error, rule, node))
            return False
        touched = self._apply(rule, *proposal, node, session, imports) if proposal is not None else None
        if touched is None:
            return False
        session.worklist.stir(touched)
        return True

    def _visit_all(
        self, nodes: list[ir.Node], model: ir.Model, session: Session, fired: Counter[str], ceiling: int
    ) -> None:
        """Visit `nodes`, and again those next to a change."""
        self._redefined = {(function.domain, function.name) for function in model.functions.values()}
        queue = deque(nodes)
        queued = set(nodes)
        opsets = _opsets_by_graph(model)
        while queue and not session.exhausted:
            node = queue.popleft()
            queued.discard(node)
            if node.graph is None or facts.is_kept(node):
                continue
            applied = self._visit(node, session, opsets)
            if applied is None:
                session.worklist.settle(node, self._names)
                continue
            rule, touched = applied
            fired[rule.name] += 1
            if fired.total() > ceiling:
                raise UnsoundRewrite(
                    f"rules undo each other without end, last {rule.name}; this is a bug in it", rule.name
                )
            session.worklist.stir(touched)
            for other in touched:
                if other not in queued and other.graph is not None:
                    queued.add(other)
                    queue.append(other)

    def _visit(
        self, node: ir.Node, session: Session, opsets: dict[ir.Graph, dict[str, int]]
    ) -> tuple[AnyRule, list[ir.Node]] | None:
        assert node.graph is not None
        rules = self._by_root.get(_operator(node))
        if rules is None:
            return None
        imports = opsets.get(node.graph, {node.domain: node.version or 1})
        tried = session.worklist.tried(node)
        for rule in rules:
            if rule.name in tried or (node.version or 1) < rule.since_opset or rule.name in session.avoided.sources:
                continue
            session.watchdog.enter(rule.name)
            try:
                proposal = self._proposal(rule, node, imports, session)
            except Exception as error:
                session.fault(rule.name, where(node), _attributed(error, rule, node))
                continue
            if proposal is None:
                continue
            touched = self._apply(rule, *proposal, node, session, imports)
            if touched is not None:
                return rule, touched
        return None

    def _proposal(
        self, rule: AnyRule, node: ir.Node, imports: dict[str, int], session: Session
    ) -> tuple[list[ir.Value | None], Tape] | None:
        """What `rule` would put in place of `node`; nothing is changed yet."""
        m = rule.match(node)
        if m is None or not self._guards_hold(rule, m, node, session):
            return None
        tape = Tape(imports)
        try:
            new = list(rule.build(tape, m))
            check(rule.name, node, new)
        except Exception:
            tape.discard()
            raise
        return new, tape

    def _guards_hold(self, rule: AnyRule, m: Any, node: ir.Node, session: Session) -> bool:
        for guard in self._guards[rule.name]:
            if (rule.name, guard.name) not in self._without and not guard.holds(m):
                session.refuse(rule.name, guard.name, where(node))
                return False
        return True

    def _apply(
        self,
        rule: AnyRule,
        new: list[ir.Value | None],
        tape: Tape,
        node: ir.Node,
        session: Session,
        imports: dict[str, int],
    ) -> list[ir.Node] | None:
        graph = node.graph
        assert graph is not None
        new = anchored(node, graph, new, tape)
        if _only_renames_identity(node, tape):
            tape.discard()
            session.refuse(rule.name, "output-needs-a-producer", where(node))
            return None
        if any((made.domain, made.op_type) in self._redefined for made in tape.nodes):
            # A local function of that name is what would be called, from inside itself perhaps.
            tape.discard()
            session.refuse(rule.name, "operator-not-redefined", where(node))
            return None
        if not session.spend(rule.name, where(node)):
            tape.discard()
            return None
        return install(node, graph, new, tape, session, imports)


def _attributed(error: Exception, rule: AnyRule, node: ir.Node) -> Exception:
    """The error itself where it is deliberate, else one that names the rule.

    Raises:
        NcgoptError: what is not the rule's doing, like weights that cannot be read.
    """
    if isinstance(error, UnsoundRewrite):
        error.source = rule.name
        return error
    if isinstance(error, NcgoptError) and not isinstance(error, WorkerDied):
        raise error
    failed = UnsoundRewrite(
        f"rule {rule.name} at {where(node)} raised {describe(error)}; this is a bug in the rule", rule.name
    )
    failed.__cause__ = error
    return failed


def _operator(node: ir.Node) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


def _opsets_by_graph(model: ir.Model) -> dict[ir.Graph, dict[str, int]]:
    found: dict[ir.Graph, dict[str, int]] = {}
    for graph in graphs_within(model.graph):
        found[graph] = model.graph.opset_imports
    for function in model.functions.values():
        for graph in graphs_within(function.graph):
            found[graph] = function.opset_imports
    return found


def _only_renames_identity(node: ir.Node, tape: Tape) -> bool:
    return node.op_type == "Identity" and len(tape.nodes) == 1 and tape.nodes[0].op_type == "Identity"
