"""The only thing that changes a graph for a rule.

It walks every graph of the model (main, subgraphs, local functions) with a worklist, evaluates
every guard and notes the first that refuses, checks what `build` returns, and puts it in place:
names of graph inputs and outputs stay, metadata is carried over, what died is removed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import NcgoptError, UnsoundRewrite
from ncgopt.facts.nesting import graphs_within
from ncgopt.rewrite.placement import add_constant
from ncgopt.rewrite.removal import remove_dead, remove_node
from ncgopt.rewrite.replacement import may_take_name, replace_value
from ncgopt.rewrite.rule import Guard, Rule
from ncgopt.rewrite.session import Session, all_nodes, describe
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
        self._without = without
        self._redefined: set[tuple[str, str]] = set()

    def run(self, model: ir.Model) -> Counter[str]:
        """Rewrite `model` in place; returns how often each rule fired.

        Raises:
            UnsoundRewrite: a rule returned values of another number, element type or shape, or the
                rules undo each other without end.
        """
        session = Session.of(model)
        fired: Counter[str] = Counter()
        ceiling = 20 * sum(1 for _ in all_nodes(model)) + 1000
        # The worklist follows a change to its neighbours; what became known further away, the next round sees.
        while self._round(model, session, fired, ceiling):
            pass
        return fired

    def _round(self, model: ir.Model, session: Session, fired: Counter[str], ceiling: int) -> bool:
        """Visit every node, and again those next to a change; whether anything fired."""
        session.watchdog.enter(RULES)
        facts.survey(model)
        facts.forget()
        self._redefined = {(function.domain, function.name) for function in model.functions.values()}
        before = fired.total()
        queue = deque(all_nodes(model))
        queued = set(queue)
        opsets = _opsets_by_graph(model)
        while queue and not session.exhausted:
            node = queue.popleft()
            queued.discard(node)
            if node.graph is None or facts.is_kept(node):
                continue
            applied = self._visit(node, session, opsets)
            if applied is None:
                continue
            rule, touched = applied
            fired[rule.name] += 1
            if fired.total() > ceiling:
                raise UnsoundRewrite(
                    f"rules undo each other without end, last {rule.name}; this is a bug in it", rule.name
                )
            for other in touched:
                if other not in queued and other.graph is not None:
                    queued.add(other)
                    queue.append(other)
        return fired.total() > before and not session.exhausted

    def _visit(
        self, node: ir.Node, session: Session, opsets: dict[ir.Graph, dict[str, int]]
    ) -> tuple[AnyRule, list[ir.Node]] | None:
        assert node.graph is not None
        imports = opsets.get(node.graph, {node.domain: node.version or 1})
        for rule in self._by_root.get(_operator(node), ()):
            if (node.version or 1) < rule.since_opset or rule.name in session.avoided.sources:
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
            _check(rule, node, new)
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
        new = _anchored(node, graph, new, tape)
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
        return _put_in_place(node, graph, new, tape, session, imports)


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


def where(node: ir.Node) -> str:
    """How a node is named to people."""
    named = node.name or next((v.name for v in node.outputs if v.name), None) or "?"
    return f"{node.op_type} {named}"


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


def _check(rule: AnyRule, node: ir.Node, new: Sequence[ir.Value | None]) -> None:
    """Arity, element type and shape of a replacement against what it replaces."""

    def unsound(what: str) -> UnsoundRewrite:
        return UnsoundRewrite(f"rule {rule.name} at {where(node)}: {what}; this is a bug in the rule")

    if len(new) != len(node.outputs):
        raise unsound(f"returned {len(new)} values for {len(node.outputs)} outputs")
    for old, value in zip(node.outputs, new, strict=True):
        if value is None:
            if old.uses() or old.is_graph_output():
                raise unsound(f"returned nothing for output {old.name}, which is used")
            continue
        expected, actual = facts.dtype(old), facts.dtype(value)
        if expected is not None and actual is not None and expected != actual:
            raise unsound(f"output {old.name} would be {actual.name} instead of {expected.name}")
        if not _compatible(facts.shape(old), facts.shape(value)):
            raise unsound(f"output {old.name} would have shape {facts.shape(value)} instead of {facts.shape(old)}")


def _compatible(expected: facts.Shape | None, actual: facts.Shape | None) -> bool:
    if expected is None or actual is None:
        return True
    if len(expected) != len(actual):
        return False
    pairs = zip(expected, actual, strict=True)
    return not any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)


def _anchored(node: ir.Node, graph: ir.Graph, new: list[ir.Value | None], tape: Tape) -> list[ir.Value | None]:
    """The new values, with an Identity where a graph output would otherwise lose its own name.

    An output of a graph must be produced inside it, under its own name. A value that comes from
    outside, is an input, an initializer or another output cannot take that name.
    """
    anchored: list[ir.Value | None] = []
    for old, value in zip(node.outputs, new, strict=True):
        if value is not None and old.is_graph_output():
            recorded = any(value.producer() is n for n in tape.nodes)
            taken = any(value is other for other in anchored)
            if taken or not (recorded or may_take_name(value, graph)):
                value = tape.op("Identity", [value])
        anchored.append(value)
    return anchored


def _only_renames_identity(node: ir.Node, tape: Tape) -> bool:
    return node.op_type == "Identity" and len(tape.nodes) == 1 and tape.nodes[0].op_type == "Identity"


def _put_in_place(
    node: ir.Node,
    graph: ir.Graph,
    new: Sequence[ir.Value | None],
    tape: Tape,
    session: Session,
    opsets: dict[str, int],
) -> list[ir.Node]:
    _name_new(node, new, tape, session)
    _add_constants(graph, node, tape, session)
    for made in tape.nodes:
        opsets.setdefault(made.domain, made.version or 1)
    unnamed = [made for made in tape.nodes if made.name is None]
    graph.insert_before(node, tape.nodes)
    for made in unnamed:
        made.name = None  # onnx-ir gives each node a name when it enters a graph
    touched: list[ir.Node] = list(tape.nodes)
    for old, value in zip(node.outputs, new, strict=True):
        if value is not None:
            replace_value(graph, old, value, fresh=any(value.producer() is n for n in tape.nodes))
            touched.extend(use.node for use in value.uses())
            if (producer := value.producer()) is not None:
                touched.append(producer)
    for value in new:
        if value is not None:
            facts.forget_from(value)
    used = remove_node(node)
    removed = [node, *remove_dead(used)]
    for value in used:
        # A sole-user condition of a neighbour may hold now.
        if (producer := value.producer()) is not None and producer.graph is not None:
            touched.append(producer)
        touched.extend(use.node for use in value.uses())
    _merge_metadata(tape.nodes, removed)
    return touched


def _name_new(node: ir.Node, new: Sequence[ir.Value | None], tape: Tape, session: Session) -> None:
    stem = node.name or next((v.name for v in node.outputs if v.name), None) or node.op_type
    final = tape.nodes[-1] if tape.nodes else None
    for made in tape.nodes:
        # The last node stands where the root stood and may have its name, which leaves with it. Where the
        # model leaves nodes unnamed, so do we: names are bytes.
        if made is final and node.name:
            made.name = node.name
        elif node.name or made.name:
            made.name = session.fresh_name(made.name or f"{stem}/{made.op_type}")
        for output in made.outputs:
            if not any(output is value for value in new):
                output.name = session.fresh_name(f"{made.name or stem}:out")
    for old, value in zip(node.outputs, new, strict=True):
        if value is not None and value.name is None:
            value.name = old.name or session.fresh_name(f"{stem}:out")


def _add_constants(graph: ir.Graph, node: ir.Node, tape: Tape, session: Session) -> None:
    for constant in tape.constants:
        constant.name = session.fresh_name(constant.name or f"{node.name or node.op_type}:const")
        add_constant(graph, node, constant, session)


def _merge_metadata(made: Sequence[ir.Node], removed: Sequence[ir.Node]) -> None:
    merged: dict[str, str] = {}
    for gone in reversed(removed):  # the root is first in the list and has the last word
        merged.update(gone.metadata_props)
    for node in made:
        node.metadata_props.update({k: v for k, v in merged.items() if k not in node.metadata_props})
    said = next((node.doc_string for node in removed if node.doc_string), None)
    if made and said and not made[-1].doc_string:
        made[-1].doc_string = said
