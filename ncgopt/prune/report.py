"""What pruning did and what it bought, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ncgopt.prune.quality import Quality


@dataclass(frozen=True)
class LayerOutcome:
    """One weight of the result.

    Attributes:
        name: of the layer, or of the weight.
        operator: Conv, Gemm or MatMul.
        weights: elements.
        zeros: those that are zero.
        asked: share of zeros asked for; None for a layer that was left alone.
    """

    name: str
    operator: str
    weights: int
    zeros: int
    asked: float | None = None

    @property
    def sparsity(self) -> float:
        """Share of zeros."""
        return self.zeros / self.weights if self.weights else 0.0


@dataclass(frozen=True)
class GroupOutcome:
    """Channels that go together: one name, units before and after, and how many channels a unit is."""

    name: str
    before: int
    after: int
    unit: int = 1


@dataclass(frozen=True)
class Size:
    """What a model takes.

    Attributes:
        parameters: elements of all weights.
        nonzero: those that are not zero.
        weight_bytes: bytes of all weights.
        file_bytes: on disk.
        compressed_bytes: of the files, with zlib.
        flops: of one run on a batch of the calibration data; zeros count as any number.
    """

    parameters: int
    nonzero: int
    weight_bytes: int
    file_bytes: int
    compressed_bytes: int
    flops: int


@dataclass(frozen=True)
class Latency:
    """What was measured, models taking turns.

    Attributes:
        before, after: median seconds.
        ratio: above 1 where the pruned model is faster.
        low, high: ends of its 95 % interval.
        verdict: in words.
        threads: of each session.
        runs: of each model.
    """

    before: float
    after: float
    ratio: float
    low: float
    high: float
    verdict: str
    threads: int
    runs: int


@dataclass(frozen=True)
class TradeOff:
    """One point of the curve: how much went, what it cost."""

    sparsity: float
    drop: float
    parameters: int


@dataclass
class PruneReport:
    """Everything that happened.

    Attributes:
        model: path as given.
        output: where the result is; empty where nothing was written.
        status: `written`, `dry-run`, `gate-not-met`.
        method: `obs`, `wanda`, `magnitude`.
        structured: whether channels or blocks were removed.
        unit: which of the two.
        sparsity: share of zeros in the pruned layers, or of removed channels.
        layers: weights of the result.
        groups: channels, or blocks, that went, for structured pruning.
        left: what was left alone, and why.
        notes: what else the user should know.
        before, after: sizes.
        quality: of the result.
        max_drop: the gate.
        latency: measured.
        curve: the trade-off found, where the gate was not met.
        seconds: time taken.
    """

    model: str
    method: str
    structured: bool
    unit: str = "channels"
    output: str = ""
    status: str = ""
    sparsity: float = 0.0
    layers: list[LayerOutcome] = field(default_factory=list[LayerOutcome])
    groups: list[GroupOutcome] = field(default_factory=list[GroupOutcome])
    left: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    before: Size | None = None
    after: Size | None = None
    quality: Quality | None = None
    max_drop: float | None = None
    latency: Latency | None = None
    curve: list[TradeOff] = field(default_factory=list[TradeOff])
    seconds: float = 0.0
    data: Mapping[str, object] = field(default_factory=dict[str, object])
