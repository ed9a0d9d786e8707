"""JAX: functions, and whatever is called like one (Flax, Equinox), through jax2onnx."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax2onnx
import numpy as np
import numpy.typing as npt

from ncgopt.capture.program import Arrays, CannotCapture, ProgramRefuses, Request, reason, silence
from ncgopt.capture.specs import InputSpec, dtype_of


class JaxProgram:
    """A pure function of arrays."""

    framework: ClassVar[str] = f"JAX {jax.__version__}"

    def __init__(self, program: Callable[..., Any]) -> None:
        self.changes: list[str] = []
        self._program = program

    def inputs(self) -> tuple[InputSpec, ...]:
        """Nothing: a function does not say what it takes."""
        return ()

    def run(self, feeds: Arrays, specs: Sequence[InputSpec]) -> list[npt.NDArray[Any]]:
        """See `Program.run`."""
        try:
            found = self._program(*(feeds[spec.name] for spec in self._ordered(specs)))
        except Exception as error:
            raise ProgramRefuses(reason(error)) from error
        return [np.asarray(leaf) for leaf in jax.tree.leaves(found)]

    def state(self) -> bytes:
        """Nothing: what a traced function remembers, JAX forgets."""
        return b""

    def export(self, path: Path, specs: Sequence[InputSpec], request: Request) -> None:
        """See `Program.export`."""
        ordered = self._ordered(specs)
        given = [jax.ShapeDtypeStruct(spec.dims, dtype_of(spec.dtype)) for spec in ordered]
        opset = {} if request.opset is None else {"opset": request.opset}
        try:
            with silence():
                jax2onnx.to_onnx(
                    self._program,
                    inputs=given,
                    input_names=[spec.name for spec in ordered],
                    return_mode="file",
                    output_path=str(path),
                    **opset,
                )
        except Exception as error:
            raise CannotCapture(f"jax2onnx cannot export it: {reason(error)}") from error

    def _ordered(self, specs: Sequence[InputSpec]) -> list[InputSpec]:
        """In the order of the function's parameters where these have the inputs' names, else as given."""
        try:
            order = list(inspect.signature(self._program).parameters)
        except (TypeError, ValueError):
            return list(specs)
        if not all(spec.name in order for spec in specs):
            return list(specs)
        return sorted(specs, key=lambda spec: order.index(spec.name))
