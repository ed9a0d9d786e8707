"""ncgopt: an ONNX optimizer that distrusts itself.

`optimize`, `verify` and `inspect` do what the commands of the same names do, in one call each.
Importing this package loads neither onnx, onnx_ir nor onnxruntime; the first call does.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ncgopt.report import Report, Verification
from ncgopt.settings import Settings, Target, VerifySettings

if TYPE_CHECKING:
    from ncgopt.inspect import Inspection

    __version__: str

__all__ = ["Report", "Settings", "Target", "VerifySettings", "__version__", "inspect", "optimize", "session", "verify"]


def optimize(
    model: str | Path,
    settings: Settings | None = None,
    *,
    output: str | Path | None = None,
    in_place: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Rewrite a model, prove that it still computes the same, and write it.

    Args:
        model: path of the .onnx file.
        settings: what to do; the default preset without it.
        output: where the result goes; `MODEL.opt.onnx` beside the input without it.
        in_place: replace the input itself; excludes `output`.
        progress: called with one line of text whenever a new step begins.

    Raises:
        ncgopt.errors.NcgoptError: nothing was written. Where the run came far enough to have one,
            the error carries its `Report` as `error.report`.
    """
    from ncgopt.runtime import Worker

    chosen = settings or Settings()
    target = None if output is None else Path(output)
    with Worker(memory=chosen.memory_limit) as worker:
        # The child gets ready while we import and load. Without verification most models need none.
        if chosen.verify:
            worker.start("onnxruntime")
        from ncgopt import pipeline

        return pipeline.optimize(model, chosen, output=target, in_place=in_place, progress=progress, worker=worker)


def verify(original: str | Path, result: str | Path, settings: VerifySettings | None = None) -> Verification:
    """Compare two models: what goes in and out (names, order, types, shapes, defaults), and what they compute.

    Producer, metadata and operator set versions may differ: they say how a model came to be, and only
    `optimize` promises to keep them. That the two differ is no error, it is what the result says.

    Raises:
        ncgopt.errors.InputUnreadable: one of the files is missing, damaged or no model.
        ncgopt.errors.ModelInvalid: one of them contradicts itself.
        ncgopt.errors.Usage: feeds or bindings do not fit the model.
    """
    from ncgopt.model import Contract
    from ncgopt.verify import verify as compare

    left, right = Contract.of(original), Contract.of(result)
    same_origin = dataclasses.replace(right, opsets=left.opsets, model=left.model, graph=left.graph)
    broken = left.differences(same_origin)
    outcome = compare(Path(original), Path(result), settings or VerifySettings())
    if not broken:
        return outcome
    return dataclasses.replace(outcome, status="failed", reason="the interfaces differ", interface=broken)


def inspect(
    model: str | Path, bind: dict[str, int] | None = None, *, trust_links: bool = False, facts: bool = False
) -> Inspection:
    """Describe a model without running it: operators, weights, interface and cost.

    Args:
        model: path of the .onnx file.
        bind: sizes of symbolic dimensions, for the cost; those left out count as 1.
        trust_links: accept external data behind links that leave the model's folder.
        facts: also say how much can be proven about types, shapes and small integer contents.

    Raises:
        ncgopt.errors.InputUnreadable: the file is missing, damaged or no model.
        ncgopt.errors.ModelInvalid: it holds something that no runtime could accept.
    """
    from ncgopt.inspect import inspect as describe

    return describe(Path(model), bind or {}, trust_links=trust_links, with_facts=facts)


def session(model: str | Path, *, providers: Sequence[str] | None = None, **options: Any) -> Any:
    """An `onnxruntime.InferenceSession` of a model with the settings that `ncgopt tune` found for it.

    Args:
        model: path of the .onnx file, beside which `MODEL.session.json` lies; without that file, or where it was
            made for another model, machine or number of cores, the settings are ONNX Runtime's own.
        providers: execution providers; the CPU without it, for which settings are tuned.
        options: attributes of `onnxruntime.SessionOptions` to set besides, such as `log_severity_level`.

    Warns:
        ncgopt.tune.NotTunedHere: there is such a file, and it is of no use here.
    """
    from ncgopt.tune.sidecar import session as make

    return make(model, providers=providers, **options)


def __getattr__(name: str) -> str:
    """Look up the version only when asked: importlib.metadata is slow for what most never read."""
    if name == "__version__":
        from importlib.metadata import version

        return version("ncgopt")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps the functions `verify` and `inspect` in front of the submodules of the same names.

    Importing a submodule binds it as an attribute of its package, which would replace the public
    function by a module as soon as anything imports from `ncgopt.verify`.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in __all__ and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
