"""TensorFlow: functions and SavedModels, through tf2onnx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf2onnx

from ncgopt.capture.program import Arrays, CannotCapture, ProgramRefuses, Request, reason, silence
from ncgopt.capture.specs import InputSpec


class TensorflowProgram:
    """A function of tensors; of a SavedModel, a signature."""

    framework: ClassVar[str] = f"TensorFlow {tf.__version__}"

    def __init__(self, program: Callable[..., Any], keep: object = None) -> None:
        self.changes: list[str] = []
        self._program = program
        signature: Any = getattr(program, "structured_input_signature", None)
        self._by_name = signature is not None and not signature[0]
        self._keep = keep  # a signature does not keep its model alive

    def inputs(self) -> tuple[InputSpec, ...]:
        """Those of a signature; an open first dimension is called `batch`, others by input and place."""
        if not self._by_name:
            return ()
        named = self._program.structured_input_signature[1]
        return tuple(
            InputSpec(name, spec.dtype.name, tuple(
                size if size is not None else "batch" if axis == 0 else f"{name}_{axis}"
                for axis, size in enumerate(spec.shape.as_list())
            ))
            for name, spec in sorted(named.items())
        )  # fmt: skip

    def run(self, feeds: Arrays, specs: Sequence[InputSpec]) -> list[npt.NDArray[Any]]:
        """See `Program.run`."""
        tensors = {spec.name: tf.constant(feeds[spec.name]) for spec in specs}
        try:
            found = self._program(**tensors) if self._by_name else self._program(*tensors.values())
        except Exception as error:
            raise ProgramRefuses(reason(error)) from error
        return [np.asarray(leaf) for leaf in tf.nest.flatten(found)]

    def state(self) -> bytes:
        """Nothing that could be seen from here."""
        return b""

    def export(self, path: Path, specs: Sequence[InputSpec], request: Request) -> None:
        """See `Program.export`."""
        signature = [
            tf.TensorSpec([dim if isinstance(dim, int) else None for dim in spec.dims], spec.dtype, name=spec.name)
            for spec in specs
        ]
        names = [spec.name for spec in specs]
        program = self._program
        called = (lambda *args: program(**dict(zip(names, args, strict=True)))) if self._by_name else program
        try:
            with silence():
                tf2onnx.convert.from_function(
                    tf.function(called), signature, opset=request.opset or 18, output_path=str(path)
                )
        except Exception as error:
            raise CannotCapture(f"tf2onnx cannot export it: {reason(error)}") from error


def load_saved(path: Path, signature: str = "serving_default") -> TensorflowProgram:
    """A signature of a SavedModel folder.

    Raises:
        CannotCapture: TensorFlow cannot read it, or it has no such signature.
    """
    try:
        model = tf.saved_model.load(str(path))
    except Exception as error:
        raise CannotCapture(f"{path}: {TensorflowProgram.framework} cannot load it: {reason(error)}") from error
    if signature not in model.signatures:
        raise CannotCapture(f"{path} has no signature {signature}; it has {', '.join(model.signatures) or 'none'}")
    return TensorflowProgram(model.signatures[signature], model)
