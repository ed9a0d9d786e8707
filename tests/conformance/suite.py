"""The cases of onnx's backend test suite, as it ships in the installed onnx package."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")


@dataclass(frozen=True)
class Case:
    """One model with its data.

    `data` holds pairs of inputs and expected outputs, each by position: an array, a list (of a
    sequence) or None (of an optional). `rtol` and `atol` are the suite's own.
    """

    name: str
    kind: str
    model: bytes
    data: tuple[tuple[list[Any], list[Any]], ...]
    rtol: float
    atol: float


def load(kinds: tuple[str, ...] = KINDS) -> list[Case]:
    """All cases of these kinds, in the order of their names.

    The node tests are made in memory, by importing some 200 modules that compute their expected
    outputs on the way: it takes ten seconds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # casts that overflow on purpose
        from onnx.backend.test.loader import load_model_tests

        return [_case(test) for kind in kinds for test in sorted(load_model_tests(kind=kind), key=lambda t: t.name)]


def _case(test: Any) -> Case:
    if test.model is not None:
        data = tuple(([_plain(v) for v in inputs], [_plain(v) for v in outputs]) for inputs, outputs in test.data_sets)
        return Case(test.name, test.kind, test.model.SerializeToString(), data, test.rtol, test.atol)
    folder = Path(test.model_dir)
    model = (folder / "model.onnx").read_bytes()
    return Case(test.name, test.kind, model, tuple(_data_sets(folder, model)), test.rtol, test.atol)


def _data_sets(folder: Path, model: bytes) -> Iterator[tuple[list[Any], list[Any]]]:
    graph = onnx.load_model_from_string(model).graph
    for data_set in sorted(folder.glob("test_data_set*")):
        yield (
            [_read(data_set / f"input_{i}.pb", v) for i, v in enumerate(graph.input) if _there(data_set, "input", i)],
            [_read(data_set / f"output_{i}.pb", v) for i, v in enumerate(graph.output)],
        )


def _there(data_set: Path, side: str, index: int) -> bool:
    return (data_set / f"{side}_{index}.pb").exists()


def _read(path: Path, info: onnx.ValueInfoProto) -> Any:
    content = path.read_bytes()
    if info.type.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if info.type.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return numpy_helper.to_array(onnx.TensorProto.FromString(content))


def _plain(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
