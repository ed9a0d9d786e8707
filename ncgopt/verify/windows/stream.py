"""Running a model of any size: piece by piece, with the weights of one piece in memory at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ncgopt.runtime.session import Port, Value
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.windows.piece import Piece, RunningPiece, piece_of
from ncgopt.verify.windows.side import Side, inputs_of, weight_bytes


class Stream:
    """A model that runs piece by piece; stands for a session where only one run at a time is asked for.

    Args:
        side: the model.
        budget: bytes of weights that a piece may have; a node with more is a piece by itself.
        settings: providers and custom operators.
        optimize: whether ONNX Runtime optimizes each piece.
    """

    def __init__(self, side: Side, budget: int, settings: VerifySettings, *, optimize: bool = False) -> None:
        self._side, self._settings, self._optimize = side, settings, optimize
        self._cuts = _cuts(side, budget)
        self._needed = _needed_after(side, self._cuts)
        self._opened: tuple[frozenset[str], RunningPiece] | None = None
        graph = side.model.graph
        self.inputs = tuple(Port(value.name or "", "") for value in graph.inputs)
        self.outputs = tuple(Port(value.name or "", "") for value in graph.outputs)

    def run(self, feeds: Mapping[str, Value]) -> list[Value]:
        """All outputs, in order; as `Session.run`."""
        names = [port.name for port in self.outputs]
        found = self.values([feeds], names)[0]
        return [found[name] for name in names]

    def values(self, runs: Sequence[Mapping[str, Value]], wanted: Collection[str]) -> list[dict[str, Value]]:
        """Values of the main graph by name, for several sets of inputs at once: weights are read once.

        Raises:
            LoadError, RunError: ONNX Runtime refuses a piece, or what goes into it.
        """
        side = self._side
        defaults = {v.name or "": t.numpy() for v in side.model.graph.inputs if (t := side.tensor(v)) is not None}
        live = [{**defaults, **feeds} for feeds in runs]
        found = [{name: values[name] for name in wanted if name in values} for values in live]
        for number, piece in enumerate(self._pieces(wanted)):
            stage(f"running piece {number + 1} of {self.pieces}")
            running = self._running(piece)
            for at, values in enumerate(live):
                values |= running.run(values)
                found[at] |= {name: values[name] for name in piece.outputs if name in wanted}
            needed = self._needed[self._cuts[number + 1]]
            live = [{name: value for name, value in values.items() if name in needed} for values in live]
        for name in wanted:
            tensor = side.tensor(side.values[name])
            for values in found:
                if name not in values and tensor is not None:
                    values[name] = tensor.numpy()
        return found

    def _running(self, piece: Piece) -> RunningPiece:
        """Of a model in one piece, the session stays open."""
        key = frozenset(piece.outputs)
        if self._opened is not None and self._opened[0] == key and len(self._cuts) == 2:
            return self._opened[1]
        running = RunningPiece(piece, self._settings, optimize=self._optimize)
        self._opened = (key, running) if len(self._cuts) == 2 else None
        return running

    def _pieces(self, wanted: Collection[str]) -> list[Piece]:
        side, pieces = self._side, list[Piece]()
        fed = {value.name or "" for value in side.model.graph.inputs}
        for start, end in zip(self._cuts, self._cuts[1:], strict=False):
            nodes, needed = side.nodes[start:end], self._needed[end]
            names = [value.name or "" for node in nodes for value in node.outputs]
            outputs = [name for name in names if name and (name in needed or name in wanted)]
            pieces.append(piece_of(side, nodes, outputs, fed))
        return pieces

    @property
    def pieces(self) -> int:
        """In how many pieces it runs."""
        return len(self._cuts) - 1


def _needed_after(side: Side, cuts: Sequence[int]) -> dict[int, set[str]]:
    """Per cut, names that are read behind it."""
    needed = {value.name or "" for value in side.model.graph.outputs}
    found: dict[int, set[str]] = {}
    end = len(side.nodes)
    for cut in reversed(cuts):
        needed = needed | {value.name or "" for node in side.nodes[cut:end] for value in inputs_of(node)}
        # What is read from this cut on; the nodes before it may compute it.
        found[cut], end = needed, cut
    return found


def _cuts(side: Side, budget: int) -> list[int]:
    """Where pieces begin, and the end: as few as the budget allows; a constant counts in every piece that reads it."""
    cuts, read, spent = [0], set[str](), 0
    for place, node in enumerate(side.nodes):
        tensors = {v.name or "": t for v in inputs_of(node) if (t := side.tensor(v)) is not None}
        cost = sum(weight_bytes(tensor) for name, tensor in tensors.items() if name not in read)
        if spent + cost > budget and place > cuts[-1]:
            cuts.append(place)
            read.clear()
            spent = 0
            cost = sum(weight_bytes(tensor) for tensor in tensors.values())
        read |= set(tensors)
        spent += cost
    return [*cuts, len(side.nodes)]
