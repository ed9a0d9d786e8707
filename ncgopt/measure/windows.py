"""Every window of a result that holds a rewrite in question, run before and after. Runs in the child process.

Windows are those of `ncgopt.verify.windows`: between values that both models have under one name. What shares nodes is
one window, so that three products that became one are three on the other side, too. A window that does not win
by itself runs once more with the nodes around it that feed it: what ONNX Runtime fuses or lays out across its
border (an activation into the convolution before it) counts as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
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
from ncgopt.verify.windows.cut import Cutter, Window
from ncgopt.verify.windows.piece import Piece, type_of, write_piece
from ncgopt.verify.windows.side import Side
from ncgopt.verify.windows.stream import Stream

_SECONDS = 0.5  # per window and attempt
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
    facts.survey(cutter.original.model)
    work = _Work(cutter, request, settings, time.monotonic() + request.seconds)
    return work.run()


@dataclass
class _Work:
    cutter: Cutter
    request: Request
    settings: VerifySettings
    end: float
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])

    def run(self) -> list[Gain]:
        chosen = [(window, places) for window in self._joined() if (places := self._places(window))]
        wider = [self._wider(window) for window, _ in chosen]
        names = {name for window in (*(w for w, _ in chosen), *filter(None, wider)) for name in window.frontier}
        stream = Stream(self.cutter.original, self.settings.piece_bytes, self.settings)
        self.values = stream.values([feeds_of(self.request.case, self.request.survey)], names)[0]
        gains: list[Gain] = []
        for number, ((window, places), wide) in enumerate(zip(chosen, wider, strict=True)):
            stage(f"measuring rewrites, window {number + 1} of {len(chosen)}")
            gains.append(self._gain(window, wide, places))
        return gains

    def _joined(self) -> list[Window]:
        """All windows, those that share nodes as one."""
        windows, _ = self.cutter.windows()
        groups: dict[int, list[Window]] = {}
        owner: dict[ir.Node, int] = {}
        for number, window in enumerate(windows):
            group = [window]
            for node in (*window.original.nodes, *window.result.nodes):
                other = owner.get(node)
                if other is not None and other in groups:
                    group += groups.pop(other)
            groups[number] = group
            for member in group:
                owner.update(dict.fromkeys((*member.original.nodes, *member.result.nodes), number))
        return [self._union(group) for group in groups.values()]

    def _union(self, group: Sequence[Window]) -> Window:
        if len(group) == 1:
            return group[0]
        targets = dict.fromkeys(name for window in group for name in window.targets)
        return self.cutter.window(targets, self.cutter.anchors | self.cutter.inputs)

    def _wider(self, window: Window) -> Window | None:
        """The window with what feeds it; None where that is nothing, or too much."""
        fed = {name for name in window.frontier if self._is_float(name)} - self.cutter.inputs
        if not fed:
            return None
        wide = self.cutter.window(window.targets, (self.cutter.anchors | self.cutter.inputs) - fed)
        return wide if wide.size <= window.size + 4 * len(fed) and wide.bytes <= _MAX_BYTES else None

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
            found = self._ratio(window)
            if found is not None and found[0].verdict != "faster" and wide is not None:
                found = self._ratio(wide) or found
        except OrtError as error:
            return unknown(str(error))
        if found is None:
            return unknown("out of time")
        return Gain(places, target, nodes, found[0], trades, found[1])

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
        ratio = race(before, after, min(_SECONDS, left))
        memo.note(key, ratio)
        return ratio, False

    def _runner(self, piece: Piece) -> Callable[[], object]:
        """What runs a piece once."""
        computed = [name for name in piece.outputs if name not in piece.inputs and name not in piece.constants]
        if not computed:
            return lambda: None
        feeds = {name: self.values[name] for name in piece.inputs}
        types = {name: self._type(name, value) for name, value in feeds.items()}
        proto, weights = write_piece(piece, types, computed)
        session = open_session(
            proto.SerializeToString(), optimize=True, custom_ops=self.settings.custom_ops,
            providers=self.settings.providers, threads=self.request.threads, weights=weights,
        )  # fmt: skip
        return lambda: session.run(feeds)

    def _type(self, name: str, value: Value) -> onnx.TypeProto:
        """With those sizes that the model fixes: ONNX Runtime chooses layouts by them."""
        proto = type_of(name, value)
        shape = facts.shape(self.cutter.original.values[name])
        if isinstance(value, np.ndarray) and shape is not None and len(shape) == value.ndim:
            for dim, size, real in zip(proto.tensor_type.shape.dim, shape, value.shape, strict=True):
                if isinstance(size, int) and size == real:
                    dim.dim_value = size
        return proto
