"""From a program to a static graph that is known to compute the same, and then to an optimized one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from ncgopt import model as models
from ncgopt.capture import sizes as choice
from ncgopt.capture.interface import Interface, rename
from ncgopt.capture.oracle import Agreement, Oracle
from ncgopt.capture.program import Arrays, CannotCapture, Program, Request
from ncgopt.capture.source import description, find
from ncgopt.capture.specs import InputSpec, read_example, sizes_of, with_example
from ncgopt.errors import CannotWrite, Inconclusive, NcgoptError, Usage, VerificationFailed
from ncgopt.pipeline import optimize
from ncgopt.records import record
from ncgopt.report import ModelStats, Report
from ncgopt.runtime import Worker
from ncgopt.settings import Settings

_REMOTE = "ncgopt.capture.remote"
_MOST_CALLS = 200


@record
class CaptureSettings:
    """How to capture.

    Attributes:
        inputs: what goes in; those that the program itself describes may be left out.
        example: a `.npz` with one array per input: sizes of those that nothing describes, and data to compare on.
        ranges: least and greatest size of open dimensions, where they have such.
        framework: what a plain function is written in.
        opset: version of the default operator set to export to.
        bindings: at how many sets of sizes the program and the static graph are compared.
        allow_fixed: take a static graph in which a dimension that was to stay open has one size.
        trust: read files that run code when they are read.
        seed: of generated data.
        measure: seconds for latencies; 0 does not measure.
        optimize: how to optimize; None leaves the graph as exported.
    """

    inputs: tuple[InputSpec, ...] = ()
    example: Path | None = None
    ranges: Mapping[str, tuple[int, int | None]] = field(default_factory=dict[str, "tuple[int, int | None]"])
    framework: str | None = None
    opset: int | None = None
    bindings: int = 5
    allow_fixed: bool = False
    trust: bool = False
    seed: int = 0
    measure: float = 2.0
    optimize: Settings | None = field(default_factory=Settings)


@record
class Latencies:
    """Median seconds of a run at the same sizes.

    Attributes:
        sizes: of the symbols.
        program: of the program as it runs by itself.
        static, optimized: of the graphs, on one thread.
    """

    sizes: Mapping[str, int]
    program: float
    static: float
    optimized: float | None


@dataclass
class CaptureReport:
    """What was captured, and how far it can be trusted.

    Attributes:
        source: what the program is called.
        framework: what it is written in, with the version.
        output: the file written; empty where none was.
        inputs: what goes in.
        notes: what was changed or is peculiar: training mode left, state, randomness.
        interface: names, and what became fixed.
        refused: sizes that the program itself does not take, with its reason.
        static: how the static graph agrees with the program.
        optimized: how the optimized graph does; empty where nothing was optimized.
        before: size of the static graph.
        report: of the optimization.
        latencies: where measured.
        seconds: for everything.
    """

    source: str
    framework: str
    output: str = ""
    inputs: tuple[InputSpec, ...] = ()
    notes: list[str] = field(default_factory=list[str])
    interface: Interface | None = None
    refused: list[tuple[Mapping[str, int], str]] = field(default_factory=list["tuple[Mapping[str, int], str]"])
    static: list[Agreement] = field(default_factory=list[Agreement])
    optimized: list[Agreement] = field(default_factory=list[Agreement])
    before: ModelStats | None = None
    report: Report | None = None
    latencies: Latencies | None = None
    seconds: float = 0.0


def capture(
    source: str, output: Path, settings: CaptureSettings, progress: Callable[[str], None] | None = None
) -> CaptureReport:
    """Export a program to a static graph, compare the two, optimize, compare again, and write.

    Args:
        source: `package.module:name`, `file.py:name`, or a file (`source.py` says which).
        output: the .onnx file to write.
        settings: how.
        progress: called with one line whenever something begins.

    Raises:
        NcgoptError: nothing was written. `CannotCapture` where the framework cannot export the program, or a
            dimension that was to stay open did not; `VerificationFailed` where the static graph computes something
            else; `Inconclusive` where the program is random, so that nothing can be compared.
    """
    start = time.perf_counter()
    say = progress or _silent
    say("importing the program")
    program = find(source, settings.framework, trust=settings.trust)
    report = CaptureReport(source, description(program))
    with tempfile.TemporaryDirectory(prefix="ncgopt-capture-") as folder, Worker() as worker:
        _Capture(program, settings, report, worker, say).run(Path(folder), output)
    report.seconds = time.perf_counter() - start
    return report


def _silent(_: str) -> None:
    return


@dataclass
class _Capture:
    program: Program
    settings: CaptureSettings
    report: CaptureReport
    worker: Worker
    say: Callable[[str], None]

    def run(self, folder: Path, output: Path) -> None:
        specs, example = self._inputs()
        symbols = list(dict.fromkeys(symbol for spec in specs for symbol in spec.symbols))
        self._require_known(symbols)
        oracle = Oracle(self.program, specs, self.settings.seed)
        sizes = choice.traced(symbols, self.settings.ranges)
        self.say("running the program")
        self.report.notes += self.program.changes + oracle.peculiarities(sizes)
        if any("random" in note for note in self.report.notes):
            raise Inconclusive(
                f"{self.report.source}: {self.report.notes[-1]}, so that nothing can be compared with it"
            )
        self._ask(oracle, symbols, sizes, example)
        static = folder / "static.onnx"
        self.say("exporting")
        before = len(self.program.changes)
        request = Request(sizes, self.settings.ranges, oracle.draw(sizes), self.settings.opset)
        self.program.export(static, specs, request)
        self.report.notes += self.program.changes[before:]
        self.report.interface = rename(static, specs)
        self._require_open()
        self.say("comparing the static graph with the program")
        self.report.static = oracle.judge(static, self.worker)
        self._require_same(self.report.static, "the static graph")
        self.report.before = models.stats(models.load(static).model)
        result = self._optimize(static, folder, oracle)
        self._measure(static, result, oracle)
        self._write(result, output)

    def _inputs(self) -> tuple[tuple[InputSpec, ...], Arrays]:
        example: Arrays = read_example(self.settings.example) if self.settings.example is not None else {}
        said = {spec.name: spec for spec in self.settings.inputs}
        own = self.program.inputs()
        if own and said.keys() - {spec.name for spec in own}:
            if len(said) != len(own):
                names = ", ".join(spec.name for spec in own)
                raise Usage(f"{self.report.source} has the inputs {names}, and --input says {', '.join(said)}")
            own = ()
        specs = tuple(said.get(spec.name, spec) for spec in own) or self.settings.inputs
        specs = with_example(specs, example)
        if not specs:
            raise Usage(
                f"what goes into {self.report.source}? --input x:f32[batch,3,224,224] or --example FILE.npz says it"
            )
        if len({spec.name for spec in specs}) < len(specs):
            raise Usage("--input: two inputs have the same name")
        self.report.inputs = specs
        return specs, example

    def _require_known(self, symbols: Sequence[str]) -> None:
        unknown = [name for name in self.settings.ranges if name not in symbols]
        if unknown:
            raise Usage(f"--range: there is no open dimension {unknown[0]}; there are {', '.join(symbols) or 'none'}")

    def _ask(self, oracle: Oracle, symbols: Sequence[str], sizes: Mapping[str, int], example: Arrays) -> None:
        for binding in [sizes, *choice.compared(symbols, self.settings.ranges, self.settings.bindings)]:
            oracle.ask(binding, oracle.draw(binding))
        if example:
            given = {spec.name: example[spec.name] for spec in self.report.inputs if spec.name in example}
            oracle.ask(sizes_of(self.report.inputs, given), given, origin=str(self.settings.example))
        self.report.refused = oracle.refused
        if not oracle.trials:
            raise Inconclusive(
                f"{self.report.source} refuses all data that were tried, for example: {oracle.refused[0][1]}"
                " (--example has data of your own)"
            )

    def _require_open(self) -> None:
        interface = self.report.interface
        assert interface is not None
        if interface.fixed and not self.settings.allow_fixed:
            what = "; ".join(map(str, interface.fixed))
            said = [note for note in self.report.notes if "exporter, which said" in note]
            raise CannotCapture(
                f"{self.report.source}: {what}" + (f" ({said[0]})" if said else "")
                + "; --allow-fixed takes it like that, --range says which sizes there are"
            )  # fmt: skip
        if interface.fixed:
            self.report.notes += [str(one) for one in interface.fixed]

    def _require_same(self, found: Sequence[Agreement], what: str) -> None:
        interface = self.report.interface
        assert interface is not None
        fitting = [one for one in found if all(fixed.allows(one.sizes) for fixed in interface.fixed)]
        if not fitting:
            raise Inconclusive(f"{self.report.source}: {what} takes none of the sizes that the program takes")
        for one in fitting:
            where = ", ".join(f"{name}={size}" for name, size in one.sizes.items()) or one.origin
            if one.refusal:
                raise VerificationFailed(f"{what} does not run at {where}, and the program does: {one.refusal}")
            if not one.ok:
                worst = one.worst
                assert worst is not None
                raise VerificationFailed(
                    f"{what} computes something else at {where}: output {worst.output} differs by {worst.max_abs:.3g}"
                    f" where {worst.limit:.3g} is allowed {worst.detail}".rstrip()
                )

    def _optimize(self, static: Path, folder: Path, oracle: Oracle) -> Path:
        if self.settings.optimize is None:
            return static
        self.say("optimizing")
        result = folder / "optimized.onnx"
        self.report.report = optimize(
            static, self.settings.optimize, output=result, progress=self.say, worker=self.worker
        )
        self.say("comparing the optimized graph with the program")
        self.report.optimized = oracle.judge(result, self.worker)
        self._require_same(self.report.optimized, "the optimized graph")
        return result

    def _measure(self, static: Path, result: Path, oracle: Oracle) -> None:
        both = [trial for trial, one in zip(oracle.trials, self.report.static, strict=True) if one.ok]
        if not self.settings.measure or not both:
            return
        self.say("measuring")
        trial = max(both, key=lambda one: sum(array.size for array in one.feeds.values()))
        graphs = [static] if result == static else [static, result]
        own: list[float] = []
        end = time.perf_counter() + self.settings.measure
        while len(own) < 3 or (time.perf_counter() < end and len(own) < _MOST_CALLS):
            start = time.perf_counter()
            self.program.run(trial.feeds, self.report.inputs)
            own.append(time.perf_counter() - start)
        others = self.worker.call(f"{_REMOTE}:latencies", graphs, dict(trial.feeds), self.settings.measure)
        self.report.latencies = Latencies(trial.sizes, median(own), others[0], others[1] if len(others) > 1 else None)

    def _write(self, result: Path, output: Path) -> None:
        self.say("writing")
        loaded = models.load(result)
        try:
            models.save(loaded.model, output, input_external=loaded.external)
        except NcgoptError:
            raise
        except OSError as error:
            raise CannotWrite(f"{output}: {error.strerror or error}") from None
        self.report.output = str(output)
