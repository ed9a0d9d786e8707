"""What a user may ask of `prune`: one frozen value, checked when it is made."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ncgopt.errors import Usage

Method = Literal["magnitude", "wanda", "obs"]
Scope = Literal["global", "layer"]
Schedule = Literal["sequential", "constant", "polynomial"]
Allocation = Literal["uniform", "auto"]
Unit = Literal["channels", "blocks"]


@dataclass(frozen=True)
class PruneSettings:
    """Everything `prune` can be told.

    Attributes:
        structured: remove channels, heads and hidden units instead of setting single weights to zero.
        unit: what goes if `structured`: channels, or whole residual blocks; `sparsity` is then the share of them.
        method: `magnitude`; `wanda`, which weighs by the size of the inputs; `obs`, which also makes the
            remaining weights take over (least squares on the calibration data).
        sparsity: share of the weights, or of the channels, that goes; inside (0, 1).
        layers: shares for layers of their own, glob over names -> share; 0 leaves a layer alone.
        scope: rank the weights of all layers together, or by layer.
        allocation: `auto` gives less to layers whose pruning costs more, as measured.
        pattern: `unstructured`, `N:M` (N of M neighbours stay), or `block` / `block:RxC`.
        schedule: `sequential`: with `obs`, layer by layer, each calibrated on what those before have become;
            `constant`: all at once; `polynomial`: `sequential` over and over, with a share that grows over `steps`.
        steps: how often to calibrate and prune.
        stages: `obs` calibrates at most that many times on the way from the model's inputs to its outputs.
        keep: globs over nodes and weights that nothing may touch.
        align: structured widths become multiples of this.
        target_latency, target_size: search for shares so that latency, or the file, is this part of the
            original's; inside (0, 1).
        data: calibration data: `.npz`, folder of such, or `module:function`.
        eval_data: data for the quality gate; without it the last quarter of `data`, kept from calibration.
        synthetic: calibrate on random data.
        labels: `.npy` with a label per sample, or the name of an array in the data.
        samples: calibrate on no more samples than that.
        batch: samples that run together where the model leaves the number open.
        metric: `top1`, `cosine`, `mse`, or `module:function`.
        max_drop: quality that may be lost, 0.01 for 1 %; None for no gate.
        damping: added to the diagonal of a Gram matrix, relative to its mean.
        sparse_storage: store weights as `sparse_initializer` where that is smaller.
        optimize: run `optimize` before and after.
        threads: of the latency measured before and after.
        measure_seconds: for that; 0 leaves it out.
        seed: of synthetic data.
    """

    structured: bool = False
    unit: Unit = "channels"
    method: Method = "obs"
    sparsity: float = 0.5
    layers: Mapping[str, float] = field(default_factory=dict[str, float])
    scope: Scope = "layer"
    allocation: Allocation = "uniform"
    pattern: str = "unstructured"
    schedule: Schedule = "sequential"
    steps: int = 1
    stages: int = 12
    keep: tuple[str, ...] = ()
    align: int = 8
    target_latency: float | None = None
    target_size: float | None = None
    data: str | None = None
    eval_data: str | None = None
    synthetic: bool = False
    labels: str | None = None
    samples: int = 256
    batch: int = 8
    metric: str = "top1"
    max_drop: float | None = None
    damping: float = 0.01
    sparse_storage: bool = False
    optimize: bool = True
    threads: int = 1
    measure_seconds: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise Usage for values that mean nothing, or contradict each other."""
        self._shares()
        for name in ("steps", "stages", "align", "samples", "batch", "threads"):
            if getattr(self, name) < 1:
                raise Usage(f"prune: {name} is {getattr(self, name)}, but must be at least 1")
        if not 0 < self.damping < 1:
            raise Usage(f"prune: damping is {self.damping}, but must lie inside (0, 1)")
        if self.max_drop is not None and not (math.isfinite(self.max_drop) and self.max_drop >= 0):
            raise Usage(f"prune: max-drop is {self.max_drop}, but must be 0 or more")
        if self.data is not None and self.synthetic:
            raise Usage("prune: --data and --synthetic exclude each other")
        if self.metric not in ("top1", "cosine", "mse") and ":" not in self.metric:
            raise Usage(f"prune: metric {self.metric!r} is none of top1, cosine, mse, and no module:function")
        if self.structured and (self.pattern != "unstructured" or self.sparse_storage):
            raise Usage("prune: --pattern and --sparse-storage are for single weights, not for --structured")
        if not self.structured and (self.target_latency is not None or self.target_size is not None):
            raise Usage("prune: --target-latency and --target-size need --structured: zeros alone buy neither")
        if self.unit == "blocks":
            self._blocks()
        if self.target_latency is not None and self.target_size is not None:
            raise Usage("prune: --target-latency and --target-size exclude each other")

    def _blocks(self) -> None:
        if not self.structured:
            raise Usage("prune: --unit blocks needs --structured")
        if self.layers or self.allocation == "auto":
            raise Usage("prune: --layer and --allocation auto are for channels; blocks go whole, --keep protects them")

    def _shares(self) -> None:
        if not 0 < self.sparsity < 1:
            raise Usage(f"prune: sparsity is {self.sparsity}, but must lie inside (0, 1)")
        for glob, share in self.layers.items():
            if not 0 <= share < 1:
                raise Usage(f"prune: sparsity of {glob} is {share}, but must lie inside [0, 1)")
        for name, target in (("target-latency", self.target_latency), ("target-size", self.target_size)):
            if target is not None and not 0 < target < 1:
                raise Usage(f"prune: {name} is {target}, but must lie inside (0, 1)")

    @property
    def needs_data(self) -> bool:
        """Whether the method looks at what the layers are given."""
        return self.method != "magnitude"

    def share(self, *names: str | None) -> float | None:
        """The share of its own that a layer with one of these names has; None where it has none."""
        for glob, share in self.layers.items():
            if is_called(glob, *names):
                return share
        return None

    def is_kept(self, *names: str | None) -> bool:
        """Whether `keep` names it."""
        return any(is_called(glob, *names) for glob in self.keep)


def is_called(glob: str, *names: str | None) -> bool:
    """Whether one of the names fits the glob."""
    return any(fnmatch.fnmatchcase(name or "", glob) for name in names)
