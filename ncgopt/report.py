"""What happened, as plain data: filled on the way, printed by the command line, saved as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ncgopt.records import record
from ncgopt.to_json import to_json

SCHEMA_VERSION = 1


@record
class ModelStats:
    """Size of a model. Nodes are counted in the main graph, subgraphs and local functions.

    Attributes:
        nodes: all nodes but `Constant`, which holds data and computes nothing.
        constants: the `Constant` nodes.
        initializers: initializers, sparse ones included, in all graphs.
        parameters: elements in all initializers and `Constant` tensors.
        weight_bytes: bytes of all initializers and `Constant` tensors.
        file_bytes: bytes on disk, the .onnx file and its external data (0: not written).
        operators: how often each operator occurs, most frequent first, named `domain::op`
            outside the default domain.
    """

    nodes: int
    constants: int
    initializers: int
    parameters: int
    weight_bytes: int
    file_bytes: int
    operators: Mapping[str, int]


@record
class WrittenFile:
    """A file of the result: its path, bytes, and SHA-256 in hexadecimal."""

    path: str
    bytes: int
    sha256: str


@record
class Repair:
    """Something ONNX Runtime tolerates and the ONNX standard does not, put right on loading."""

    kind: str
    where: str
    detail: str


@record
class Contradiction:
    """A value whose declared element type or shape is not what it has on every run.

    Attributes:
        value: its name.
        declared, proven: an element type (`float`) or a shape (`[batch,3,?]`).
    """

    value: str
    declared: str
    proven: str

    @property
    def text(self) -> str:
        """One line."""
        return f"{self.value} is declared as {self.declared}, and is {self.proven}"


@record
class OpsetChange:
    """Another version of the default operator set, as the user asked for.

    Attributes:
        before, after: versions of the operator set.
        ir_before, ir_after: versions of the file format, which a newer operator set may need.
        rewritten: how many nodes of each operator (as it was called before) changed their form.
    """

    before: int
    after: int
    ir_before: int
    ir_after: int
    rewritten: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass
class PassRecord:
    """What one pass did in one cycle of the pipeline."""

    name: str
    cycle: int
    rewrites: int
    nodes_before: int
    nodes_after: int
    bytes_before: int
    bytes_after: int
    seconds: float
    rules: dict[str, int] = field(default_factory=dict[str, int])


@record
class Rewrite:
    """One change to the graph, in the order they were made: the unit that bisection counts."""

    index: int
    source: str
    where: str


RollbackScope = Literal["place", "everywhere", "rest"]


@record
class RolledBack:
    """A rewrite at fault, left out. It is a bug in ncgopt or in a runtime, and worth reporting.

    Attributes:
        index: which change it was, or would have been.
        source: the rule or pass.
        where: the place; of a source left out everywhere, the last place where it was at fault.
        scope: whether it is left out at that `place`, or `everywhere`; `rest`: with all changes after it.
        reason: what happened with it, one line.
    """

    index: int
    source: str
    where: str
    scope: RollbackScope = "place"
    reason: str = ""


@record
class NotProfitable:
    """A rewrite that was measured here, did not pay, and was taken back. It is right, but not worth it.

    Attributes:
        index: which change it was.
        source: the rule.
        where: the place.
        ratio: time before over time after it, below 1 where it made things slower.
        low, high: the 95 % interval of that.
        measured: around the rewrite (`window`), or on the whole `model`.
    """

    index: int
    source: str
    where: str
    ratio: float
    low: float
    high: float
    measured: Literal["window", "model"] = "window"


@record
class Measurement:
    """What was measured of a result, on this machine.

    Attributes:
        threads: intra-op threads.
        data: where the inputs come from.
        binding: sizes of the symbolic dimensions.
        verdict: the result is `faster`, `slower`, or `no difference within noise`; empty where it was not measured.
        ratio: time of the original over that of the result; None where it was not measured.
        low, high: the 95 % interval of that.
        windows: parts of the model with rewrites that were measured by themselves.
        remembered: of these, how many had been measured by earlier runs.
        unmeasured: parts that could not be measured, or for which the time did not suffice; they were kept.
        reason: what limits all this, else empty.
        seconds: how long it took.
    """

    threads: int
    data: str = ""
    binding: Mapping[str, int] = field(default_factory=dict[str, int])
    verdict: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    windows: int = 0
    remembered: int = 0
    unmeasured: int = 0
    reason: str = ""
    seconds: float = 0.0


@record
class FoundSequence:
    """Rewrites that a search found to pay together, where greedy rules stop.

    Attributes:
        steps: rule and place of each, `RULE at PLACE`; greedy rules do the rest.
        estimated: cost on paper of what greedy rules make of the window, over that after the steps.
        ratio: the same measured, with its 95 % interval `low` to `high`; None where it could not be measured.
        kept: whether it was taken, which takes that it was measured to be faster.
    """

    steps: tuple[str, ...]
    estimated: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    kept: bool = False


@record
class Search:
    """What a search did.

    Attributes:
        windows: parts of the model that were explored.
        states: graphs that were looked at.
        found: sequences that are cheaper on paper than what greedy rules make.
        complete: whether all parts were explored in the time.
        seconds: how long it took.
    """

    windows: int = 0
    states: int = 0
    found: tuple[FoundSequence, ...] = ()
    complete: bool = False
    seconds: float = 0.0


@record
class Refusal:
    """How often a rule matched and one of its guards said no, with one place as an example."""

    rule: str
    guard: str
    count: int
    example: str


@record
class OutputDifference:
    """How far one output of the result is from the original's, on one run.

    Attributes:
        output: name of the output.
        max_abs: largest absolute difference.
        scale: largest magnitude in the original's output, what `limit` is relative to.
        limit: largest absolute difference that the dtype allows at that scale.
        detail: what differs where it is not a number (shape, dtype, NaN pattern, strings).
        mismatches: how many elements differ at all.
        elements: how many elements the output has.
        noise: how far ONNX Runtime's own optimizations, or rounding the inputs or the weights, move the original
            (0: not measured, because it was not needed); `limit` is at least twice that.
        error: largest difference of the result from what the original computes in float64; None where that
            is not known.
        own_error: the same of the original.
        error_limit: how large `error` may be; None where float64 does not decide.
        decided: rows (of an output with at least two axes) whose largest element leads by more than the two
            models may be apart; None where the output has no such rows.
        agreeing: rows among them whose largest element is in the same place.
    """

    output: str
    max_abs: float
    scale: float
    limit: float
    detail: str = ""
    mismatches: int = 0
    elements: int = 0
    noise: float = 0.0
    error: float | None = None
    own_error: float | None = None
    error_limit: float | None = None
    decided: int | None = None
    agreeing: int | None = None

    @property
    def ok(self) -> bool:
        """Whether this output is as close as it has to be, to the original and, where that is known, to float64."""
        if self.error is not None and self.error_limit is not None and self.error > self.error_limit:
            return False
        return not self.detail and self.max_abs <= self.limit


@record
class VerifyRun:
    """One set of feeds, run through original and result.

    Attributes:
        source: `draw 0`, or the name of the user's feeds file.
        binding: sizes of the symbolic dimensions.
        level: graph optimization level of ONNX Runtime on the result's side.
        outputs: the comparison per output.
    """

    source: str
    binding: Mapping[str, int]
    level: Literal["disable-all", "enable-all"]
    outputs: tuple[OutputDifference, ...]


@record
class WindowFigures:
    """How a comparison by windows covered the result, see `ncgopt.verify.windows`.

    Attributes:
        nodes: nodes of the result's main graph.
        unchanged: those among them that the original has too, reading the same.
        windows: windows around all others, each compared by running both sides.
        largest: nodes on both sides of the largest window.
        grown: windows that had to be made larger, since they differed on made-up data alone.
        dropped: values that differ from those of the same name in the original, while what is
            computed of them does not.
        own_data_only: windows that agree on what the model computes there, and not on made-up data.
        too_large: windows with more weights than memory was allowed for; they were not run.
    """

    nodes: int
    unchanged: int
    windows: int
    largest: int
    grown: int = 0
    dropped: tuple[str, ...] = ()
    own_data_only: tuple[str, ...] = ()
    too_large: tuple[str, ...] = ()


@record
class Verification:
    """Outcome of comparing a result with its original.

    Attributes:
        status: `passed`; `failed` (outputs or interface differ, or the result does not run where
            the original does); `inconclusive` (the original could not be run on any data);
            `skipped` (not asked for).
        reason: one line for everything but `passed`.
        interface: differences between the two interfaces, one line each.
        runs: what was run and how the outputs compare.
        worst: the output that is furthest from its limit, relative to that limit.
        reference: `float64` where the original could be computed in it, to measure both sides by; else why not.
        windows: what was compared where the models were not run as a whole; None where they were.
    """

    status: Literal["passed", "failed", "inconclusive", "skipped"]
    reason: str = ""
    interface: tuple[str, ...] = ()
    runs: tuple[VerifyRun, ...] = ()
    worst: OutputDifference | None = None
    seconds: float = 0.0
    windows: WindowFigures | None = None
    reference: str = ""


@dataclass(frozen=True)
class Peak:
    """Bytes that a run takes at most beside weights and inputs, predicted for ONNX Runtime.

    Attributes:
        before: of the original.
        after: of the result.
        binding: sizes of symbolic dimensions that both hold for.
    """

    before: int
    after: int
    binding: Mapping[str, int]


@dataclass
class Report:
    """Everything `optimize` did, and whether it can be trusted.

    Attributes:
        files: what was written: the .onnx file and, if there is one, its data file.
        contradictions: values whose declared type or shape is wrong; nothing rests on what they declare.
        opset: the change of operator set; None where none was asked for.
        lost: what the model said about its parts (doc strings, metadata, quantization annotations) and says no
            more, as those parts are gone; one line per kind.
        rolled_back: rewrites that were found at fault, and left out.
        search: what a search found; None where none was asked for.
        not_profitable: rewrites that were measured, did not pay, and were taken back.
        measurement: how fast the result is; None where that was not asked for.
        peak: of memory; None where no objective was given, or ONNX Runtime does not load the model.
        culprit: the rewrite at fault where the run failed.
    """

    model: str
    version: str
    schema_version: int = SCHEMA_VERSION
    output: str | None = None
    status: Literal["written", "dry-run", "failed"] = "failed"
    files: tuple[WrittenFile, ...] = ()
    before: ModelStats | None = None
    after: ModelStats | None = None
    repairs: list[Repair] = field(default_factory=list[Repair])
    contradictions: list[Contradiction] = field(default_factory=list[Contradiction])
    opset: OpsetChange | None = None
    passes: list[PassRecord] = field(default_factory=list[PassRecord])
    rewrites: list[Rewrite] = field(default_factory=list[Rewrite])
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    lost: list[str] = field(default_factory=list[str])
    rolled_back: list[RolledBack] = field(default_factory=list[RolledBack])
    search: Search | None = None
    not_profitable: list[NotProfitable] = field(default_factory=list[NotProfitable])
    measurement: Measurement | None = None
    peak: Peak | None = None
    verification: Verification = field(default_factory=lambda: Verification("skipped"))
    lossy: Verification | None = None
    notes: list[str] = field(default_factory=list[str])
    culprit: str | None = None
    seconds: float = 0.0

    def to_json(self) -> str:
        """The report as JSON; `schema_version` grows with every incompatible change."""
        return to_json(self)
