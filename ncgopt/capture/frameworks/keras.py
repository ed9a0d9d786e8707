"""Keras 3 on whichever backend it runs, through its own exporter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import keras
import numpy as np
import numpy.typing as npt

from ncgopt.capture.program import Arrays, CannotCapture, ProgramRefuses, Request, reason, silence
from ncgopt.capture.specs import InputSpec


class KerasProgram:
    """A built model."""

    framework: ClassVar[str] = f"Keras {keras.__version__} on {keras.backend.backend()}"

    def __init__(self, model: Any) -> None:
        self.changes: list[str] = []
        self._model = model

    def inputs(self) -> tuple[InputSpec, ...]:
        """The model's own; an open first dimension is called `batch`, others by input and place."""
        found: list[InputSpec] = []
        for tensor in keras.tree.flatten(self._model.inputs or []):
            dims = tuple(
                size if size is not None else "batch" if axis == 0 else f"{_word(tensor.name)}_{axis}"
                for axis, size in enumerate(tensor.shape)
            )
            found.append(InputSpec(tensor.name, keras.backend.standardize_dtype(tensor.dtype), dims))
        return tuple(found)

    def run(self, feeds: Arrays, specs: Sequence[InputSpec]) -> list[npt.NDArray[Any]]:
        """See `Program.run`."""
        try:
            with silence():
                found = self._model(self._packed([feeds[spec.name] for spec in specs]), training=False)
        except Exception as error:
            raise ProgramRefuses(reason(error)) from error
        leaves = cast("list[Any]", keras.tree.flatten(found))
        return [np.asarray(keras.ops.convert_to_numpy(leaf)) for leaf in leaves]

    def state(self) -> bytes:
        """Of all weights that are not trained: statistics, seeds."""
        parts = (keras.ops.convert_to_numpy(one).tobytes() for one in self._model.non_trainable_variables)
        return b"".join(parts)

    def export(self, path: Path, specs: Sequence[InputSpec], request: Request) -> None:
        """See `Program.export`. The model is called once before: its exporter refuses models that never were."""
        self.run(request.feeds, specs)
        torch = keras.backend.backend() == "torch"
        shapes = [spec.shape(request.sizes) if torch and not spec.symbols else _open(spec) for spec in specs]
        signature = [
            keras.InputSpec(shape=shape, dtype=spec.dtype, name=spec.name)
            for spec, shape in zip(specs, shapes, strict=True)
        ]
        try:
            with silence():
                self._model.export(
                    str(path), format="onnx", verbose=False, opset_version=request.opset,
                    input_signature=[self._packed(signature)],
                )  # fmt: skip
        except Exception as error:
            raise CannotCapture(f"{self.framework} cannot export it: {reason(error)}") from error

    def _packed(self, flat: list[Any]) -> Any:
        """Flat inputs in the structure that the model takes."""
        structure = self._model.inputs
        if isinstance(structure, list) and len(cast("list[Any]", structure)) == 1:
            return flat[0]
        return keras.tree.pack_sequence_as(getattr(self._model, "_inputs_struct", structure) or flat, flat)


def _open(spec: InputSpec) -> tuple[int | None, ...]:
    return tuple(dim if isinstance(dim, int) else None for dim in spec.dims)


def _word(name: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in name)


def load_model(path: Path, *, trust: bool) -> KerasProgram:
    """A `.keras` file; with `trust` also one that holds code of its own (Lambda layers).

    Raises:
        CannotCapture: Keras cannot read it.
    """
    try:
        return KerasProgram(keras.models.load_model(str(path), safe_mode=not trust, compile=False))
    except Exception as error:
        hint = "; --trust runs code that is in the file" if "safe_mode" in str(error) else ""
        raise CannotCapture(f"{path}: {KerasProgram.framework} cannot load it: {reason(error)}{hint}") from error
