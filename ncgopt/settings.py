"""What a user may ask for: one frozen value handed down the whole way."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ncgopt.bytesize import ByteSize
from ncgopt.lint.settings import CheckSettings
from ncgopt.prune.settings import PruneSettings


class Target(enum.Enum):
    """Which operators a rewritten model may use.

    ONNX: standard operators of the model's own opset, so that any runtime loads the result.
    ONNXRUNTIME: also the hardware-independent `com.microsoft` operators of ONNX Runtime.
    """

    ONNX = "onnx"
    ONNXRUNTIME = "onnxruntime"


ExternalData = Literal["auto", "always", "never"]
VerifyMode = Literal["auto", "whole", "window"]
Objective = Literal["latency", "memory", "size", "nodes"]


@dataclass(frozen=True)
class VerifySettings:
    """How original and result are compared.

    Attributes:
        feeds: `.npz` files with the user's own inputs (one array per input name), used besides
            the generated ones.
        draws: random draws per binding of the symbolic dimensions.
        bind: symbolic dimensions pinned to a size; they are not varied.
        custom_ops: shared libraries with custom operators, registered in every session.
        providers: ONNX Runtime execution providers, in order of preference.
        seed: seed of the generated data.
        timeout: seconds after which a verification is given up as inconclusive.
        mode: `whole` runs both models; `window` runs pieces of them, in bounded memory; `auto` does that
            where the whole would not fit.
        piece_bytes: bytes of weights that a piece may have in mode `window`; a single node may have more.
        memory_limit: bytes that the child process may hold in which models run; None for three quarters of
            the machine's memory. `Settings.memory_limit` takes its place in `optimize`.
    """

    feeds: tuple[Path, ...] = ()
    draws: int = 2
    bind: Mapping[str, int] = field(default_factory=dict[str, int])
    custom_ops: tuple[Path, ...] = ()
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    seed: int = 0
    timeout: float = 1800.0
    mode: VerifyMode = "auto"
    piece_bytes: int = 128 << 20
    memory_limit: ByteSize | None = None


@dataclass(frozen=True)
class MeasureSettings:
    """How rewrites and results are measured, where that is asked for.

    Attributes:
        threads: intra-op threads of ONNX Runtime.
        seconds: time for all measurements together, those that earlier runs made not counted.
    """

    threads: int = 1
    seconds: float = 300.0


@dataclass(frozen=True)
class Settings:
    """Everything `optimize` can be told.

    Attributes:
        preset: name of the preset that lists passes and rules (`default`, `exact`, ...).
        objective: what the result is to be good at: `memory` lowers the peak of a run, `size` that of the file,
            `latency` measures what pays, `nodes` is what every preset does; the report says how all four changed.
        passes: explicit list of pass, rule or group names; replaces the preset.
        skip: globs over pass and rule names that are left out.
        options: options per pass, `{"fold-constants": {"max_growth": 1024}}`.
        target: operators the result may use.
        opset: version of the default operator set that the model is upgraded to first; None leaves it as it is.
        exact: only rewrites whose result is the same bit for bit.
        keep: globs over node and initializer names that nothing may touch.
        bind: symbolic dimensions to pin, `{"batch": 1}`; this changes the model's interface.
        max_cycles: how often the pipeline repeats before it stops looking for a fixpoint.
        verify: whether the result is compared with the original before it is written.
        allow_unverified: write a result although the original could not be run.
        verification: how the comparison is done.
        external_data: where weights go; `auto` follows the input.
        trust_links: accept external data behind links that leave the model's folder.
        strip_debug: take away doc strings, and the metadata of everything but the model itself.
        dry_run: do everything but write.
        strict: fail where verification does, instead of leaving out the rewrite at fault; and where a rule or
            pass does not come to its end, instead of leaving it out.
        timeout: seconds that one pass may take; one that takes longer is left out. The comparison has its
            own, `verification.timeout`.
        memory_limit: bytes that each child process may hold; None for three quarters of the machine's memory.
        search: seconds to look for rewrites that only pay together; 0 for none.
        measure: run rewrites before and after, and leave out those that do not pay on this machine.
        fail_if_slower: write nothing where the result takes longer than the original by more than this share
            (0.03: 3 %), beyond noise; None for no such gate.
        measurement: how that is measured.
        prune: what `ncgopt prune` does; `optimize` does not look at it.
        check: which findings `ncgopt check` looks for; `optimize` does not look at it.
    """

    preset: str = "default"
    objective: Objective | None = None
    passes: tuple[str, ...] | None = None
    skip: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Mapping[str, object]])
    target: Target = Target.ONNX
    opset: int | None = None
    exact: bool = False
    keep: tuple[str, ...] = ()
    bind: Mapping[str, int] = field(default_factory=dict[str, int])
    max_cycles: int = 10
    verify: bool = True
    allow_unverified: bool = False
    verification: VerifySettings = field(default_factory=VerifySettings)
    external_data: ExternalData = "auto"
    trust_links: bool = False
    strip_debug: bool = False
    dry_run: bool = False
    strict: bool = False
    timeout: float = 600.0
    memory_limit: ByteSize | None = None
    search: float = 0.0
    measure: bool = False
    fail_if_slower: float | None = None
    measurement: MeasureSettings = field(default_factory=MeasureSettings)
    prune: PruneSettings = field(default_factory=PruneSettings)
    check: CheckSettings = field(default_factory=CheckSettings)
