"""Every window of a result that holds a rewrite in question, run before and after. Runs in the child process.

Windows are those of `ncgopt.verify.windows`: between values that both models have under one name. What shares work is
one window, so that three products that became one are three on the other side, too. A window is run with the nodes
next to it, those that feed it and those that read it: what ONNX Runtime fuses or lays out across its border (an
activation into the convolution before it, an addition into the normalization after it) counts as well. Where that
decides nothing, since the surroundings take most of the time, it is run by itself, too, and wins if it wins there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from ncgopt import facts
from ncgopt.measure import memo
from ncgopt.measure.data import feeds_of
from ncgopt.measure.gain import Gain
from ncgopt.measure.race import race
from ncgopt.measure.ratio import Ratio
from ncgopt.runtime.session import OrtError, Value, open_session
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.cases import Case
from ncgopt.verify.inputs import Survey
from ncgopt.verify.windows.cut import Cutter, Window, cone
from ncgopt.verify.windows.piece import Piece, type_of, write_piece
from ncgopt.verify.windows.side import Side
from ncgopt.verify.windows.stream import Stream

_SECONDS = 0.5  # per window and attempt
_HEAVY = ("MatMul", "Gemm", "Conv", "Einsum", "LSTM", "GRU", "RNN", "Attention", "Pool", "Resize", "LRN")
_SURE = 0.1  # width of an interval, relative to the ratio, that is worth remembering: a quiet machine does better
_AROUND = 40  # nodes on both sides that may come in around a window
_MAX_NODES = 400  # on both sides
_MAX_BYTES = 1 << 29  # of weights of a side


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    Attributes:
        survey: of the original.
        case: inputs that it takes.
        threads: intra-op threads.
        places: where the rewrites in question were made.
        seconds: time for all of it; what is left out then has no ratio.
    """

    survey: Survey
    case: Case
    threads: int
    places: frozenset[str]
    seconds: float


def measure_windows(original: Path, result: Path, request: Request, settings: VerifySettings) -> list[Gain]:
    """The gains of all windows with a rewrite in question.

    Raises:
        LoadError, RunError: the original does not run.
    """
    stage("laying the models beside each other")
    cutter = Cutter(Side.load(original), Side.load(result))
    for side in (cutter.original, cutter.result):
        facts.survey(side.model)
    work = _Work(cutter, request, settings, time.monotonic() + request.seconds)
    return work.run()


@dataclass
class _Work:
    cutter: Cutter
    request: Request
    settings: VerifySettings
    end: float
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    shared: set[ir.Node] = field(default_factory=set[ir.Node])

    def run(self) -> list[Gain]:
        chosen = [(window, places) for window in self._joined() if (places := self._places(window))]
        wider = [self._wider(window) for window, _ in chosen]
        self._run_both([*(window for window, _ in chosen), *filter(None, wider)])
        gains: list[Gain] = []
        for number, ((window, places), wide) in enumerate(zip(chosen, wider, strict=True)):
            stage(f"measuring rewrites, window {number + 1} of {len(chosen)}")
            gains.append(self._gain(window, wide, places))
        return gains

    def _run_both(self, windows: Sequence[Window]) -> None:
        """Everything that goes into a window: as the original computes it, else, where it has none, the result."""
        names = {name for window in windows for name in window.frontier}
        feeds = feeds_of(self.request.case, self.request.survey)
        for side in (self.cutter.original, self.cutter.result):
            wanted = {name for name in names if name in side.values} - self.values.keys()
            stream = Stream(side, self.settings.piece_bytes, self.settings)
            self.values |= stream.values([feeds], wanted)[0] if wanted else {}

    def _joined(self) -> list[Window]:
        """All windows, those that share work as one; a mask that all layers read is given to each of them."""
        stops = self._stops
        windows = [self._window(window.targets, stops) for window in self.cutter.windows()[0]]
        groups: dict[int, list[Window]] = {}
        owner: dict[ir.Node, int] = {}
        for number, window in enumerate(windows):
            group = [window]
            heavy = [n for n in (*window.original.nodes, *window.result.nodes) if any(w in n.op_type for w in _HEAVY)]
            for node in heavy:
                other = owner.get(node)
                if other is not None and other in groups:
                    group += groups.pop(other)
            groups[number] = group
            for member in group:
                owner.update(dict.fromkeys((*member.original.nodes, *member.result.nodes), number))
        unions = [self._union(group) for group in groups.values()]
        times = Counter(node for window in unions for node in (*window.original.nodes, *window.result.nodes))
        self.shared = {node for node, count in times.items() if count > 1}
        return [self._window(window.targets, stops) for window in unions] if self.shared else unions

    def _union(self, group: Sequence[Window]) -> Window:
        if len(group) == 1:
            return group[0]
        targets = dict.fromkeys(name for window in group for name in window.targets)
        return self._window(targets, self._stops)

    @property
    def _stops(self) -> set[str]:
        return self.cutter.anchors | self.cutter.inputs

    def _window(self, targets: Iterable[str], stops: Collection[str]) -> Window:
        """Both sides back to `stops`, and to what several windows share.

        A proof has to go further back where stops depend on one another, a measurement need not.
        """
        names = tuple(targets)

        def stop(value: ir.Value) -> bool:
            return (value.name or "") in stops or value.producer() in self.shared

        original, result = (cone(side, names, stop) for side in (self.cutter.original, self.cutter.result))
        return Window(names, original, result, {})

    def _wider(self, window: Window) -> Window | None:
        """The window with what feeds it and what reads it; None where that is nothing, or too much."""
        cutter = self.cutter
        fed = {name for name in window.frontier if name in cutter.anchors and self._is_float(name)}
        targets = [name for target in window.targets for name in self._read(target)]
        if not fed and targets == list(window.targets):
            return None
        inner = {name for name in window.targets if name not in targets}
        wide = self._window(dict.fromkeys(targets), self._stops - fed - inner)
        return wide if wide.size <= window.size + _AROUND and wide.bytes <= _MAX_BYTES else None

    def _read(self, target: str) -> list[str]:
        """What the result computes of a value in one step; the value itself where that is not all it is for."""
        side = self.cutter.result
        value = side.values[target]
        nodes = {use.node for use in value.uses()}
        names = sorted({v.name for node in nodes for v in node.outputs if v.name})
        whole = bool(names) and not value.is_graph_output() and all(node in side.place for node in nodes)
        return names if whole and set(names) <= self.cutter.anchors else [target]

    def _is_float(self, name: str) -> bool:
        return facts.is_float(self.cutter.original.values[name])

    def _places(self, window: Window) -> tuple[str, ...]:
        names: set[str] = set()
        for node in (*window.original.nodes, *window.result.nodes):
            names.update(name for name in (node.name, *(value.name for value in node.outputs)) if name)
        stems = {name.removesuffix(":out").rpartition("/")[0] for name in names}
        return tuple(
            place
            for place in sorted(self.request.places)
            if place in names or place.rpartition("/")[0] in names or place in stems
        )

    def _gain(self, window: Window, wide: Window | None, places: tuple[str, ...]) -> Gain:
        nodes = len(window.original.nodes), len(window.result.nodes)
        trades = nodes[1] > nodes[0] or window.result.bytes > window.original.bytes
        target = window.targets[0]

        def unknown(reason: str) -> Gain:
            return Gain(places, target, nodes, None, trades, reason=reason)

        if window.size > _MAX_NODES or window.bytes > _MAX_BYTES:
            return unknown("too large")
        try:
            found = self._decision(window, wide)
        except OrtError as error:
            return unknown(str(error))
        if found is None:
            return unknown("out of time")
        return Gain(places, target, nodes, found[0], trades, found[1])

    def _decision(self, window: Window, wide: Window | None) -> tuple[Ratio, bool] | None:
        around = self._ratio(wide) if wide is not None else None
        if around is not None and around[0].verdict in ("faster", "slower"):
            return around
        alone = self._ratio(window)
        return alone if around is None or (alone is not None and alone[0].verdict == "faster") else around

    def _ratio(self, window: Window) -> tuple[Ratio, bool] | None:
        """The ratio, and whether it was known before; None where time is up."""
        key = memo.key_of(window, self.values, self.request.threads)
        known = memo.look_up(key)
        if known is not None:
            return known, True
        left = self.end - time.monotonic()
        if left <= 0:
            return None
        before, after = (self._runner(piece) for piece in (window.original, window.result))
        ratio = race(before, after, min(_SECONDS, left), self.request.threads)
        if ratio.high - ratio.low < _SURE * ratio.value:
            memo.note(key, ratio)
        return ratio, False

    def _runner(self, piece: Piece) -> Callable[[], object]:
        """What runs a piece once."""
        computed = [name for name in piece.outputs if name not in piece.inputs and name not in piece.constants]
        if not computed:
            return lambda: None
        side = piece.side
        feeds = {name: self.values[name] for name in piece.inputs}
        types = {name: self._type(side, name, value) for name, value in feeds.items()}
        proto, weights = write_piece(piece, types, computed)
        session = open_session(
            proto.SerializeToString(), optimize=True, custom_ops=self.settings.custom_ops,
            providers=self.settings.providers, threads=self.request.threads, weights=weights,
        )  # fmt: skip
        return lambda: session.run(feeds)

    def _type(self, side: Side, name: str, value: Value) -> onnx.TypeProto:
        """With those sizes that the model fixes: ONNX Runtime chooses layouts by them."""
        proto = type_of(name, value)
        shape = facts.shape(side.values[name])
        if isinstance(value, np.ndarray) and shape is not None and len(shape) == value.ndim:
            for dim, size, real in zip(proto.tensor_type.shape.dim, shape, value.shape, strict=True):
                if isinstance(size, int) and size == real:
                    dim.dim_value = size
        return proto
