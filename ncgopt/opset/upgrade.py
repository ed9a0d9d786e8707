"""From one version of the default operator set to a newer one, node by node and in place.

Everything that is not a node that changes its form stays where it is: weights, names, texts,
metadata, value infos, quantization annotations, other domains. Local functions are upgraded like the
main graph, each from the version that it imports itself.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator

import onnx
import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import Usage
from ncgopt.model import Contract, messages, scope
from ncgopt.opset.adapters import ADAPTERS, REVIEWED
from ncgopt.opset.extension import obstacle
from ncgopt.opset.site import CannotUpgrade, Site
from ncgopt.report import OpsetChange

_OVERRIDABLE_SINCE = 4
# ONNX Runtime has these in the default domain whatever version is imported, from before they were standard.
_OF_THE_RUNTIME = frozenset({"LayerNormalization", "SimplifiedLayerNormalization", "FusedConv", "FusedGemm"})


def upgrade(
    model: ir.Model, version: int, fresh_name: Callable[[str], str], runs: Callable[[int, int], bool]
) -> OpsetChange:
    """Make `model` import `version` of the default operator set, computing what it computed.

    The IR version is raised where that operator set needs a newer one, and no further.

    Args:
        model: changed in place; after an error it is of no use any more.
        version: the new version.
        fresh_name: makes a name unique in the model.
        runs: whether ONNX Runtime takes models of an operator set version and an IR version.

    Raises:
        Usage: a downgrade, a version that is not known, or a node with no form in a newer version.
    """
    before = model.opset_imports.get("")
    if before is None:
        raise Usage(f"--opset {version}: the model imports no default operator set, there is nothing to upgrade")
    change = OpsetChange(before, version, model.ir_version, _ir_version(model, version))
    _check_range(change, runs)
    adapted: Counter[str] = Counter()
    for graph, where in _scopes(model):
        if "" in graph.opset_imports:
            adapted += _Upgrade(graph, where, version, fresh_name).run()
    model.ir_version = change.ir_after
    if change.ir_before < _OVERRIDABLE_SINCE <= change.ir_after:
        # From then on an initializer that is listed as an input may be overridden; here none could.
        scope.keep(model.graph, dataclasses.replace(scope.get(model.graph), initializer_inputs="never"))
    facts.forget()
    return dataclasses.replace(change, rewritten=dict(adapted.most_common()))


def expected_contract(contract: Contract, change: OpsetChange) -> Contract:
    """What must survive when the operator set is upgraded: everything but the two version numbers."""
    model = onnx.ModelProto.FromString(contract.model)
    model.ir_version = change.ir_after
    opsets = {**contract.opsets, "": change.after}
    return dataclasses.replace(contract, opsets=opsets, model=messages.encode(model))


def _ir_version(model: ir.Model, version: int) -> int:
    needed = onnx.helper.OP_SET_ID_VERSION_MAP.get(("ai.onnx", version), 0)
    return max(model.ir_version, needed)


def _check_range(change: OpsetChange, runs: Callable[[int, int], bool]) -> None:
    asked = f"--opset {change.after}"
    if change.after < change.before:
        raise Usage(f"{asked}: the model has operator set {change.before}, and ncgopt only upgrades")
    newest = onnx.defs.onnx_opset_version()
    if change.after > newest:
        raise Usage(f"{asked}: the installed onnx {onnx.__version__} knows operator sets up to {newest}")
    if change.after > REVIEWED:
        raise Usage(f"{asked}: this ncgopt upgrades to operator sets up to {REVIEWED}")
    if change.after > change.before and not runs(change.after, change.ir_after):
        raise Usage(f"{asked}: the installed onnxruntime does not take operator set {change.after}")


def _scopes(model: ir.Model) -> Iterator[tuple[ir.Graph, str]]:
    yield model.graph, ""
    for function in model.functions.values():
        yield function.graph, f" in function {function.domain}::{function.name}"


class _Upgrade:
    """The upgrade of one graph, or one function, with its subgraphs."""

    def __init__(self, graph: ir.Graph, where: str, target: int, fresh_name: Callable[[str], str]) -> None:
        self._graph, self._where, self._target, self._fresh_name = graph, where, target, fresh_name
        self._adapted: Counter[str] = Counter()

    def run(self) -> Counter[str]:
        """One version at a time, so that an adapter must only know its own step; how many nodes changed form."""
        start = self._graph.opset_imports[""]
        if start > self._target:
            raise Usage(f"--opset {self._target}: operator set {start}{self._where} is newer; ncgopt only upgrades")
        for version in range(start + 1, self._target + 1):
            for node in self._nodes():
                if node.version is not None and node.version < version:
                    self._step(node, version)
        self._graph.opset_imports[""] = self._target
        return self._adapted

    def _nodes(self) -> list[ir.Node]:
        graphs = [self._graph, *self._graph.subgraphs()]
        return [node for graph in graphs for node in graph if not node.domain]

    def _step(self, node: ir.Node, version: int) -> None:
        op_type = node.op_type
        new = _schema(op_type, version)
        if new is None:
            self._check_unknown(node)
        elif new.since_version == version:
            try:
                self._adapt(node, new)
            except CannotUpgrade as error:
                raise Usage(f"--opset {self._target}: {self._name(node, op_type)}: {error}") from None
        node.version = max(version, node.version or 0)

    def _adapt(self, node: ir.Node, new: onnx.defs.OpSchema) -> None:
        version = new.since_version
        adapter = ADAPTERS.get((node.op_type, version))
        old = _schema(node.op_type, version - 1)
        if adapter is None:
            reason = obstacle(node, old, new) if old is not None else self._newcomer(node)
            if reason:
                raise CannotUpgrade(f"there is no way into operator set {version}: {reason}")
            return
        if facts.is_kept(node):
            raise CannotUpgrade(f"--keep protects it, and operator set {version} writes it in another form")
        name = node.op_type
        before = _form(node)
        adapter(Site(node, version, self._target, self._fresh_name))
        if _form(node) != before:
            self._adapted[name] += 1

    def _newcomer(self, node: ir.Node) -> str:
        return "" if node.op_type in _OF_THE_RUNTIME else "it is newer than the operator set of the model"

    def _check_unknown(self, node: ir.Node) -> None:
        if node.op_type not in _OF_THE_RUNTIME:
            raise Usage(f"--opset {self._target}: {self._name(node, node.op_type)}: no standard operator")

    def _name(self, node: ir.Node, op_type: str) -> str:
        known = node.name or next((v.name for v in node.outputs if v.name), "") or "?"
        return f"{op_type} {known!r}{self._where}"


def _form(node: ir.Node) -> tuple[object, ...]:
    return (node.op_type, tuple(node.inputs), tuple((a.name, a.value) for a in node.attributes.values()))


@functools.lru_cache(maxsize=4096)
def _schema(op_type: str, version: int) -> onnx.defs.OpSchema | None:
    try:
        return onnx.defs.get_schema(op_type, version, "")
    except onnx.defs.SchemaError:
        return None
