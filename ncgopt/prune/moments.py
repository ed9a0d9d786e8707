"""Second moments of what layers are given, collected by running the model: what the parent plans, what the child does.

The inputs of layers become outputs of a copy of the model, a few layers at a time, so that neither their Gram
matrices nor what is shown of one batch outgrows a budget; samples stream through, one batch in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from ncgopt import facts
from ncgopt.errors import Inconclusive, Usage
from ncgopt.model.save import write_beside
from ncgopt.prune.calibration import Data, batches
from ncgopt.prune.layers import Layer, Use
from ncgopt.prune.patches import Window, patches
from ncgopt.runtime.process import Worker, WorkerDied
from ncgopt.runtime.session import OrtError, open_session
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
    """

    gram: Array
    mean: Array
    rows: int
    cross: Array | None = None


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
        with _shown(model, names):
            write_beside(model, place / "tapped.onnx")
        if reference is not None:
            with _shown(reference, names):
                write_beside(reference, place / "reference.onnx")
        try:
            rows: dict[int, int] = worker.call("ncgopt.prune.moments:run", place, part, data, survey)
        except (OrtError, WorkerDied) as error:
            raise Inconclusive(f"the model does not run on the calibration data: {error}") from error
        for key, count in rows.items():
            gram = np.load(place / f"{key}.gram.npy", mmap_mode="r")
            mean = np.load(place / f"{key}.mean.npy")
            if not np.isfinite(mean).all() or not np.isfinite(np.einsum("gii->gi", gram)).all():
                raise Inconclusive(f"layer {layers[key].name} is given NaN or infinity on the calibration data")
            cross = np.load(place / f"{key}.cross.npy", mmap_mode="r") if reference is not None else None
            found[key] = Moments(gram, mean, count, cross)
        for name in ("tapped.onnx", "reference.onnx"):
            (place / name).unlink(missing_ok=True)
            (place / f"{name}.data").unlink(missing_ok=True)
    return found


class _shown:  # noqa: N801 - reads as what it does: with _shown(...)
    """Has values as outputs of the model, for a while."""

    def __init__(self, model: ir.Model, names: Mapping[str, object]) -> None:
        self._outputs = model.graph.outputs
        own = {value.name for value in (*model.graph.outputs, *model.graph.inputs)}
        wanted = {name for name in names if name not in own}
        self._added = [v for node in model.graph for v in node.outputs if v.name in wanted]

    def __enter__(self) -> None:
        self._outputs.extend(self._added)

    def __exit__(self, *_: object) -> None:
        for value in self._added:
            self._outputs.remove(value)


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
        own = tap.groups * tap.width**2 * 8
        if part and size + own > _GRAM_BYTES and part[-1].key != tap.key:
            yield part
            part, size = [], 0
        part.append(tap)
        size += own
    if part:
        yield part


def run(place: Path, taps: Sequence[Tap], data: Data, survey: Survey) -> dict[int, int]:
    """Run in the child: sums over all samples, written beside the model (`KEY.gram.npy`, `.mean`, `.cross`).

    Returns:
        Rows per layer.

    Raises:
        OrtError: ONNX Runtime cannot load or run the model.
        Usage: the data do not fit the model.
    """
    session = open_session(place / "tapped.onnx", optimize=True, threads=_THREADS)
    other = place / "reference.onnx"
    reference = open_session(other, optimize=True, threads=_THREADS) if other.exists() else None
    names = [port.name for port in session.outputs]
    crosses: dict[int, Array] = {}
    sums: dict[int, tuple[Array, Array]] = {}
    rows: dict[int, int] = {}
    done = 0
    for batch in batches(data, survey):
        stage(f"calibrating ({done} samples)")
        shown = {**batch.feeds, **dict(zip(names, session.run(batch.feeds), strict=True))}
        others = shown
        if reference is not None:
            ports = [port.name for port in reference.outputs]
            others = {**batch.feeds, **dict(zip(ports, reference.run(batch.feeds), strict=True))}
        for tap in taps:
            before = _rows(cast(Array, others[tap.value]), tap)
            for part, first in zip(_rows(cast(Array, shown[tap.value]), tap), before, strict=True):
                if reference is not None:
                    cross = crosses.setdefault(tap.key, np.zeros((tap.groups, tap.width, tap.width)))
                    cross += first.transpose(0, 2, 1) @ part
                gram, total = sums.setdefault(
                    tap.key, (np.zeros((tap.groups, tap.width, tap.width)), np.zeros((tap.groups, tap.width)))
                )
                gram += part.transpose(0, 2, 1) @ part
                total += part.sum(axis=1, dtype=np.float64)
                rows[tap.key] = rows.get(tap.key, 0) + part.shape[1]
        done += batch.count
    for key, (gram, total) in sums.items():
        gram /= max(rows[key], 1)
        np.save(place / f"{key}.gram.npy", gram)
        np.save(place / f"{key}.mean.npy", total / max(rows[key], 1))
    for key, cross in crosses.items():
        np.save(place / f"{key}.cross.npy", cross / max(rows[key], 1))
    return rows


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
