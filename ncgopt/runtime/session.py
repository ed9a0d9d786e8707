"""The only place that makes ONNX Runtime sessions: quiet, one thread, one line per error."""

from __future__ import annotations

import ctypes
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import ml_dtypes
import numpy as np
import numpy.typing as npt

from ncgopt.errors import InputUnreadable, NcgoptError, Unavailable
from ncgopt.runtime.tuned import SessionSettings

Array: TypeAlias = npt.NDArray[Any]
# A tensor, a sequence, a map, or nothing (an empty optional); exactly what sessions take and give.
Value: TypeAlias = "Array | list[Any] | dict[Any, Any] | None"

# Types that ONNX Runtime has and numpy has not: (numpy type of the same bits, ml_dtypes type, ONNX's number).
_CARRIED: Mapping[str, tuple[type, type, int]] = {
    "bfloat16": (np.uint16, ml_dtypes.bfloat16, 16),
    "float8e4m3fn": (np.uint8, ml_dtypes.float8_e4m3fn, 17),
    "float8e4m3fnuz": (np.uint8, ml_dtypes.float8_e4m3fnuz, 18),
    "float8e5m2": (np.uint8, ml_dtypes.float8_e5m2, 19),
    "float8e5m2fnuz": (np.uint8, ml_dtypes.float8_e5m2fnuz, 20),
}
_PLAIN = {
    *("float", "double", "float16", "bool", "string"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
}
_CODED = re.compile(r"^\[ONNXRuntimeError\] : \d+ : (\w+) : ")
_SOURCE = re.compile(r"/\S+?\.(?:cc|h|cpp):\d+ (?:\S+ )?\S*\(.*?\) ?|^Exception during initialization: ")
_LINE_LIMIT = 300


class OrtError(NcgoptError):
    """ONNX Runtime refused something.

    Attributes:
        code: its own name for the kind of failure (`NOT_IMPLEMENTED`, `INVALID_ARGUMENT`, ...), or
            `UNSUPPORTED_TYPE` where values of that type cannot be passed from Python.
    """

    def __init__(self, message: str, code: str = "FAIL") -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.code))


class LoadError(OrtError):
    """ONNX Runtime does not take the model."""


class RunError(OrtError):
    """The model does not run on these inputs."""


@dataclass(frozen=True)
class Port:
    """An input or output as ONNX Runtime names it: `type` is `tensor(float)`, `seq(tensor(int64))` ..."""

    name: str
    type: str


class Session:
    """A loaded model. Made by `open_session`."""

    def __init__(self, session: Any, run_options: Any, weights: object = None) -> None:
        self._session = session
        self._run_options = run_options
        self._weights = weights  # what ONNX Runtime uses in place has to live as long
        self.inputs = tuple(Port(port.name, port.type) for port in session.get_inputs())
        self.outputs = tuple(Port(port.name, port.type) for port in session.get_outputs())
        self._carries = any(_element(port.type) not in _PLAIN for port in (*self.inputs, *self.outputs))

    def run(self, feeds: Mapping[str, Value]) -> list[Value]:
        """All outputs, in the model's order.

        Args:
            feeds: per input an array, a list of arrays (sequence), a dict (map) or None (empty
                optional). bfloat16 and float8 tensors are arrays of the `ml_dtypes` type.

        Raises:
            RunError: ONNX Runtime refuses the feeds or fails while running.
        """
        try:
            if self._carries:
                return self._run_carried(feeds)
            return self._session.run(None, dict(feeds), self._run_options)
        except OrtError:
            raise
        except Exception as error:
            raise RunError(*_one_line(error)) from None

    def end_profile(self) -> Path:
        """Stop profiling; the file that ONNX Runtime wrote. Only for sessions opened with `profile`."""
        return Path(self._session.end_profiling())

    def _run_carried(self, feeds: Mapping[str, Value]) -> list[Value]:
        """The way for types that numpy has not: bits are passed under ONNX's own number for the type."""
        for port in (*self.inputs, *self.outputs):
            kind = _element(port.type)
            if not port.type.startswith("tensor(") or (kind not in _CARRIED and kind not in _PLAIN):
                raise RunError(f"values of type {port.type} cannot be passed from Python ({port.name})", _UNSUPPORTED)
        types = {port.name: _element(port.type) for port in self.inputs}
        given = {name: _ort_value(value, types.get(name, "")) for name, value in feeds.items()}
        names = [port.name for port in self.outputs]
        results = self._session.run_with_ort_values(names, given, self._run_options)
        return [_array(result, _element(port.type)) for result, port in zip(results, self.outputs, strict=True)]


_UNSUPPORTED = "UNSUPPORTED_TYPE"
_SAVED = "session.optimized_model_external_initializers"


def open_session(
    model: str | bytes | Path,
    *,
    optimize: bool,
    custom_ops: Sequence[Path] = (),
    providers: Sequence[str] = ("CPUExecutionProvider",),
    threads: int = 1,
    weights: Mapping[str, Array] | None = None,
    profile: Path | None = None,
    arena: bool = True,
    prepack: bool = True,
    save_as: Path | None = None,
    tuned: SessionSettings | None = None,
) -> Session:
    """Load a model into ONNX Runtime.

    Args:
        model: a path (external data is found beside it; may exceed 2 GB) or a serialized model.
        optimize: ORT_ENABLE_ALL, else ORT_DISABLE_ALL.
        custom_ops: shared libraries with custom operators to register.
        providers: execution providers in order of preference.
        threads: intra-op threads; one gives the same bits on every run.
        weights: contents of initializers that the model declares as external data without saying where;
            used in place where ONNX Runtime can. They must not change while the session lives.
        profile: a folder for a trace of every kernel that runs, and for the model as ONNX Runtime made it over
            (`optimized.onnx`); None for neither.
        arena: whether freed memory is kept for the next run, in powers of two; costs memory, saves time.
        prepack: whether kernels may keep copies of their weights in a form that suits them.
        save_as: where ONNX Runtime writes the graph that it executes, with all larger weights in a file beside it.
        tuned: settings that take the place of `optimize`, `threads`, `arena` and `prepack`, and of our own habits.

    Raises:
        LoadError: ONNX Runtime does not take the model.
        Unavailable: an execution provider is not in the installed ONNX Runtime.
        InputUnreadable: a custom operator library is missing or not loadable.
    """
    ort: Any = importlib.import_module("onnxruntime")
    missing = [name for name in providers if name not in ort.get_available_providers()]
    if missing:
        raise Unavailable(
            f"execution provider {missing[0]} is not in this onnxruntime; it has "
            f"{', '.join(ort.get_available_providers())}"
        )
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = arena
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not prepack:
        options.add_session_config_entry("session.disable_prepacking", "1")
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    if tuned is not None:
        tuned.apply(options)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile / "trace")
        save_as = save_as or profile / "optimized.onnx"
    for library in custom_ops:
        _register(options, library)
    if save_as is not None:
        options.optimized_model_filepath = str(save_as)
        options.add_session_config_entry(f"{_SAVED}_file_name", f"{save_as.name}.data")
        options.add_session_config_entry(f"{_SAVED}_min_size_in_bytes", "1024")
    values = {name: ort.OrtValue.ortvalue_from_numpy(content) for name, content in (weights or {}).items()}
    if values:
        options.add_external_initializers(list(values), list(values.values()))
    source = str(model) if isinstance(model, Path) else model
    try:
        session = ort.InferenceSession(source, options, providers=list(providers))
    except Exception as error:
        raise LoadError(*_one_line(error)) from None
    run_options = ort.RunOptions()
    run_options.log_severity_level = 4
    return Session(session, run_options, values)


def _register(options: Any, library: Path) -> None:
    if not library.is_file():
        raise InputUnreadable(f"custom operator library {library}: no such file")
    try:
        options.register_custom_ops_library(str(library))
    except Exception as error:
        raise InputUnreadable(f"custom operator library {library}: {_one_line(error)[0]}") from None


def _one_line(error: Exception) -> tuple[str, str]:
    """ONNX Runtime's message without its prefix, source locations and line breaks; and its code."""
    text = str(error)
    coded = _CODED.match(text)
    code = coded[1] if coded else type(error).__name__
    text = " ".join(_SOURCE.sub("", text[coded.end() :] if coded else text).split())
    return (text if len(text) <= _LINE_LIMIT else text[: _LINE_LIMIT - 3] + "...", code)


def _element(type_name: str) -> str:
    """`optional(seq(tensor(float)))` -> `float`; the value type of a map."""
    inner = re.search(r"tensor\((\w+)\)", type_name)
    return inner[1] if inner else type_name


def _ort_value(value: Value, element: str) -> Any:
    ort: Any = importlib.import_module("onnxruntime")
    array: Array = np.array(value, order="C")
    if element in _CARRIED:
        bits, _, number = _CARRIED[element]
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(bits), number)
    return ort.OrtValue.ortvalue_from_numpy(array)


def _array(value: Any, element: str) -> Array:
    if element not in _CARRIED:
        return value.numpy()
    bits, dtype, _ = _CARRIED[element]
    shape = tuple(value.shape())
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(bits).itemsize
    raw = ctypes.string_at(value.data_ptr(), size) if size else b""
    array = cast(Any, np.frombuffer(raw, dtype=bits))
    return array.reshape(shape).view(dtype).copy()
