"""PyTorch: modules and functions through `torch.export` and the exporter built on it (`torch.onnx`, dynamo)."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.utils import _pytree

from ncgopt.capture.program import Arrays, CannotCapture, ProgramRefuses, Request, reason, silence
from ncgopt.capture.specs import InputSpec

_LARGE = 1_800_000_000  # bytes of weights from which on they go beside the model: protobuf ends at 2 GiB


class _Function(torch.nn.Module):
    """A function, as the exporter wants it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


class TorchProgram:
    """A module in evaluation mode, or a function of tensors."""

    framework: ClassVar[str] = f"PyTorch {torch.__version__}"

    def __init__(self, program: torch.nn.Module | Callable[..., Any]) -> None:
        self.changes: list[str] = []
        self._module = program if isinstance(program, torch.nn.Module) else _Function(program)
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        called = program.forward if isinstance(program, torch.nn.Module) else program
        parameters = inspect.signature(called).parameters.values()
        self._parameters = [parameter.name for parameter in parameters if parameter.kind in kinds]
        training = [(name, module) for name, module in self._module.named_modules() if module.training]
        noticed = [f"{name or 'the whole'} ({type(module).__name__})" for name, module in training if _acts(module)]
        if noticed:
            more = f" and {len(noticed) - 3} more" if len(noticed) > 3 else ""
            self.changes.append(f"training mode left: {', '.join(noticed[:3])}{more}")
        if not isinstance(self._module, torch.fx.GraphModule):
            self._module.eval()

    def inputs(self) -> tuple[InputSpec, ...]:
        """Nothing: a module does not say what it takes."""
        return ()

    def run(self, feeds: Arrays, specs: Sequence[InputSpec]) -> list[npt.NDArray[Any]]:
        """See `Program.run`."""
        args, kwargs = self._given(feeds, specs)
        try:
            with torch.no_grad(), silence():
                found = self._module(*args, **kwargs)
        except Exception as error:
            raise ProgramRefuses(reason(error)) from error
        return [_array(leaf) for leaf in _pytree.tree_leaves(found) if isinstance(leaf, torch.Tensor)]

    def state(self) -> bytes:
        """Of all buffers: running statistics, counters, caches."""
        digest = hashlib.sha256()
        for name, buffer in self._module.named_buffers():
            digest.update(name.encode())
            digest.update(_array(buffer).tobytes())
        return digest.digest()

    def export(self, path: Path, specs: Sequence[InputSpec], request: Request) -> None:
        """See `Program.export`. Where a symbol turns out to have one size, it is exported with that size."""
        args, kwargs = self._given(request.feeds, specs)
        axes = {spec.name: self._axes(spec, request, torch.export.Dim) for spec in specs}
        try:
            self._export(path, specs, args, kwargs, axes, request)
        except Exception as error:
            if not any(axes.values()) or not _is_about_sizes(error):
                raise CannotCapture(f"{self.framework} cannot export it: {reason(error)}") from error
            free = {name: dict.fromkeys(found, torch.export.Dim.AUTO) for name, found in axes.items()}
            try:
                self._export(path, specs, args, kwargs, free, request)
            except Exception as again:
                raise CannotCapture(f"{self.framework} cannot export it: {reason(again)}") from again
            self.changes.append(f"sizes were left to the exporter, which said: {reason(error)}")

    def _export(
        self,
        path: Path,
        specs: Sequence[InputSpec],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        axes: Mapping[str, Mapping[int, Any]],
        request: Request,
    ) -> None:
        names = [spec.name for spec in (self._ordered(specs) if args else specs)]
        shapes: Any = {name: dict(axes[name]) for name in names}
        if args:
            shapes = tuple(shapes.values())
            if isinstance(self._module, _Function):
                shapes = (shapes,)
        with silence():
            program = torch.onnx.export(
                self._module,
                args,
                kwargs=dict(kwargs),
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=names,
                opset_version=request.opset,
                verbose=False,
            )
            if program is None:
                raise CannotCapture(f"{self.framework} exported nothing")
            size = sum(t.numel() * t.element_size() for t in self._module.state_dict().values())
            program.save(str(path), external_data=size > _LARGE)

    def _axes(self, spec: InputSpec, request: Request, dim: Callable[..., Any]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for axis, symbol in enumerate(spec.dims):
            if isinstance(symbol, str):
                low, high = request.ranges.get(symbol, (1, None))
                limits = {"min": low} if low > 1 else {}
                found[axis] = dim(symbol, **limits, **({} if high is None else {"max": high}))
        return found

    def _given(self, feeds: Arrays, specs: Sequence[InputSpec]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """By name where a module names all of them, else by position, as an exported one wants them."""
        tensors = {spec.name: _tensor(feeds[spec.name]) for spec in self._ordered(specs)}
        if not isinstance(self._module, (_Function, torch.fx.GraphModule)) and all(
            name in self._parameters for name in tensors
        ):
            return (), tensors
        return tuple(tensors.values()), {}

    def _ordered(self, specs: Sequence[InputSpec]) -> list[InputSpec]:
        """In the order of the parameters where these have the inputs' names, else as given."""
        if not all(spec.name in self._parameters for spec in specs):
            return list(specs)
        return sorted(specs, key=lambda spec: self._parameters.index(spec.name))


def _acts(module: torch.nn.Module) -> bool:
    """Whether a module computes something else in training."""
    name = type(module).__name__
    return "Dropout" in name or "BatchNorm" in name or "DropPath" in name


def _is_about_sizes(error: BaseException) -> bool:
    """Whether `torch.export` refuses because a dimension is not as free as it was said to be."""
    text = str(error)
    return "onstraint" in text or "specialize" in text or "dynamic_shapes" in text


def _tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.ascontiguousarray(array).copy())


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    import ml_dtypes

    plain = tensor.detach().cpu().contiguous()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return plain.numpy()


def load_exported(path: Path) -> TorchProgram:
    """A program that `torch.export.save` wrote (`.pt2`).

    Raises:
        CannotCapture: torch cannot read it.
    """
    try:
        return TorchProgram(torch.export.load(str(path)).module())
    except Exception as error:
        raise CannotCapture(f"{path}: {TorchProgram.framework} cannot load it: {reason(error)}") from error


def load_pickled(path: Path) -> TorchProgram:
    """A whole module that `torch.save` pickled; reading it runs whatever code is in it.

    Raises:
        CannotCapture: torch cannot read it, or it holds no module.
    """
    try:
        module = torch.load(str(path), weights_only=False)
    except Exception as error:
        raise CannotCapture(f"{path}: {TorchProgram.framework} cannot load it: {reason(error)}") from error
    if not isinstance(module, torch.nn.Module):
        raise CannotCapture(f"{path} holds {type(module).__name__}, not a module: build one and load these weights")
    return TorchProgram(module)
