"""Second moments of what layers are given, collected by running the model: what the parent plans, what the child does.

The inputs of layers become outputs of a copy of the model, a few layers at a time, so that neither their Gram
matrices nor what is shown of one batch outgrows a budget; samples stream through, one batch in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from ncgopt import facts
from ncgopt import model as models
from ncgopt.errors import Inconclusive, Usage
from ncgopt.model.save import write_beside
from ncgopt.prune.calibration import Data, batches
from ncgopt.prune.layers import Layer, Use
from ncgopt.prune.patches import Window, patches
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import OrtError, Session, open_session
from ncgopt.runtime.stage import stage
from ncgopt.verify.inputs import Survey

Array: TypeAlias = npt.NDArray[Any]

_GRAM_BYTES = 1 << 29  # of Gram matrices per run over the samples
_THREADS = 2


@dataclass(frozen=True)
class Tap:
    """Where to look, and how to read it as rows.

    Attributes:
        key: of the layer.
        value: name of the value.
        groups: of a convolution.
        width: columns of each group's matrix.
        axis: axis that is summed over, where there is no window.
        window: of a convolution.
    """

    key: int
    value: str
    groups: int
    width: int
    axis: int = -1
    window: Window | None = None


@dataclass(frozen=True)
class Moments:
    """Of the inputs of one layer, over all samples and positions.

    Attributes:
        gram: `X'X / rows`, float64 `[groups, inputs, inputs]`; a file that is read as it is needed.
        mean: means, `[groups, inputs]`.
        rows: rows that went in.
        cross: `Y'X / rows` where `Y` is what the layer is given in the reference; None without one.
        mean_there: means of `Y`.
    """

    gram: Array
    mean: Array
    rows: int
    cross: Array | None = None
    mean_there: Array | None = None


def collect(
    model: ir.Model,
    layers: Sequence[Layer],
    data: Data,
    survey: Survey,
    worker: Worker,
    folder: Path,
    reference: ir.Model | None = None,
) -> dict[int, Moments]:
    """Moments by position in `layers`; layers whose input no run can show are missing.

    Args:
        model: the model; unchanged when this returns.
        layers: whose inputs to look at.
        data: samples.
        survey: the model's inputs.
        worker: process in which ONNX Runtime runs.
        folder: for passing files; the moments live there.
        reference: a model with values of the same names and shapes, run on the same samples for `Moments.cross`.

    Raises:
        Inconclusive: ONNX Runtime cannot run the model on the samples.
    """
    found: dict[int, Moments] = {}
    taps = [_tap(key, layer, use) for key, layer in enumerate(layers) if layer.observable for use in layer.uses]
    for part in _parts(taps):
        names = dict.fromkeys(tap.value for tap in part)
        place = Path(tempfile.mkdtemp(dir=folder))
        _write(model, names, place / "tapped.onnx")
        if reference is not None:
            _write(reference, names, place / "reference.onnx")
        try:
            rows: dict[int, int] = worker.call("ncgopt.prune.moments:run", place, part, data, survey)
        except (OrtError, WorkerDied) as error:
            raise Inconclusive(f"the model does not run on the calibration data: {error}") from error
        for key, count in rows.items():
            gram = np.load(place / f"{key}.gram.npy", mmap_mode="r")
            mean = np.load(place / f"{key}.mean.npy")
            if not np.isfinite(mean).all() or not np.isfinite(np.einsum("gii->gi", gram)).all():
                raise Inconclusive(f"layer {layers[key].name} is given NaN or infinity on the calibration data")
            if reference is None:
                found[key] = Moments(gram, mean, count)
                continue
            cross, there = np.load(place / f"{key}.cross.npy", mmap_mode="r"), np.load(place / f"{key}.there.npy")
            found[key] = Moments(gram, mean, count, cross, there)
        for name in ("tapped.onnx", "reference.onnx"):
            _delete(place / name)
    return found


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)


def _write(model: ir.Model, names: Iterable[str], path: Path) -> None:
    """The part of the model that computes these values, with them as outputs; the model itself stays as it is."""
    whole = path.with_name(f"whole_{path.name}")
    own = {value.name for value in model.graph.inputs}
    shown = [v for name in names if name not in own for v in (_value(model, name),) if v is not None]
    outputs = list(model.graph.outputs)
    if shown:  # else only inputs are looked at, and the model must have some output
        model.graph.outputs[:] = shown
    try:
        write_beside(model, whole)
    finally:
        model.graph.outputs[:] = outputs
    part = models.load(whole).model
    RemoveUnusedNodesPass()(part)
    write_beside(part, path)
    _delete(whole)


def _value(model: ir.Model, name: str) -> ir.Value | None:
    return next((value for node in model.graph for value in node.outputs if value.name == name), None)


def _tap(key: int, layer: Layer, use: Use) -> Tap:
    tensor = layer.weight.const_value
    assert tensor is not None
    assert use.given.name is not None
    shape = tensor.shape.numpy()
    if use.node.op_type != "Conv":
        width = shape[0] if layer.transposed else shape[1]
        return Tap(key, use.given.name, 1, width, use.axis)
    rank = len(shape) - 2
    window = Window(
        kernel=tuple(shape[2:]),
        strides=facts.ints_attribute(use.node, "strides") or (1,) * rank,
        dilations=facts.ints_attribute(use.node, "dilations") or (1,) * rank,
        pads=facts.ints_attribute(use.node, "pads"),
        auto_pad=facts.string_attribute(use.node, "auto_pad") or "NOTSET",
    )
    return Tap(key, use.given.name, layer.groups, int(np.prod(shape[1:])), 1, window)


def _parts(taps: Sequence[Tap]) -> Iterator[list[Tap]]:
    """Taps that fit into memory together; those of one layer stay together."""
    part: list[Tap] = []
    size = 0
    for tap in taps:
        own = 2 * tap.groups * tap.width**2 * 8
        if part and size + own > _GRAM_BYTES and part[-1].key != tap.key:
            yield part
            part, size = [], 0
        part.append(tap)
        size += own
    if part:
        yield part


def run(place: Path, taps: Sequence[Tap], data: Data, survey: Survey) -> dict[int, int]:
    """Run in the child: sums over all samples, written beside the model (`KEY.gram.npy`, `.mean`, `.cross`, `.there`).

    Returns:
        Rows per layer.

    Raises:
        OrtError: ONNX Runtime cannot load or run the model.
        Usage: the data do not fit the model.
    """
    session = open_session(place / "tapped.onnx", optimize=True, threads=_THREADS)
    other = place / "reference.onnx"
    reference = open_session(other, optimize=True, threads=_THREADS) if other.exists() else None
    sums: dict[int, _Sums] = {}
    done = 0
    for batch in batches(data, survey):
        stage(f"calibrating ({done} samples)")
        shown = _run(session, batch.feeds)
        there = shown if reference is None else _run(reference, batch.feeds)
        for tap in taps:
            own = sums.setdefault(tap.key, _Sums.of(tap))
            for part, first in zip(_rows(shown[tap.value], tap), _rows(there[tap.value], tap), strict=True):
                own.add(part, None if reference is None else first)
        done += batch.count
    for key, own in sums.items():
        own.save(place, key)
    return {key: own.rows for key, own in sums.items()}


def _run(session: Session, feeds: Mapping[str, Array]) -> dict[str, Array]:
    names = [port.name for port in session.outputs]
    return {**feeds, **dict(zip(names, cast("Sequence[Array]", session.run(feeds)), strict=True))}


@dataclass
class _Sums:
    """Over all rows seen of one layer."""

    gram: Array
    cross: Array
    total: Array
    there: Array
    rows: int = 0
    crossed: bool = False

    @staticmethod
    def of(tap: Tap) -> _Sums:
        square, line = (tap.groups, tap.width, tap.width), (tap.groups, tap.width)
        return _Sums(np.zeros(square), np.zeros(square), np.zeros(line), np.zeros(line))

    def add(self, part: Array, first: Array | None) -> None:
        """Rows `[groups, rows, width]`, and the same of the reference."""
        self.gram += part.transpose(0, 2, 1) @ part
        self.total += part.sum(axis=1, dtype=np.float64)
        self.rows += part.shape[1]
        if first is not None:
            self.cross += first.transpose(0, 2, 1) @ part
            self.there += first.sum(axis=1, dtype=np.float64)
            self.crossed = True

    def save(self, place: Path, key: int) -> None:
        """As means over the rows."""
        rows = max(self.rows, 1)
        np.save(place / f"{key}.gram.npy", self.gram / rows)
        np.save(place / f"{key}.mean.npy", self.total / rows)
        if self.crossed:
            np.save(place / f"{key}.cross.npy", self.cross / rows)
            np.save(place / f"{key}.there.npy", self.there / rows)


def _rows(value: Array, tap: Tap) -> Iterator[Array]:
    """`[groups, rows, width]` in float32."""
    if tap.window is not None:
        yield from patches(value, tap.window, tap.groups)
        return
    if value.ndim == 1:
        value = value[None]
    rows = np.moveaxis(value, tap.axis, -1).reshape(1, -1, value.shape[tap.axis]).astype(np.float32, copy=False)
    if rows.shape[2] != tap.width:
        raise Usage(f"{tap.value} has {rows.shape[2]} features where its layer's weight has {tap.width}")
    yield rows
