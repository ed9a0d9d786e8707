"""A model small enough to be taken apart, with the inputs that show what is wrong with its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx

from ncgopt.runtime.session import Array
from ncgopt.verify.userfeeds import read_arrays, save_feeds


@dataclass(frozen=True)
class Specimen:
    """A model in memory, weights included, and inputs for it.

    Attributes:
        model: never changed in place: every step of a reduction makes a new one.
        feeds: an array per input; empty where the fault shows without running anything.
    """

    model: onnx.ModelProto
    feeds: Mapping[str, Array] = field(default_factory=dict[str, Array])

    @property
    def nodes(self) -> int:
        """Nodes of the main graph that compute something."""
        return sum(node.op_type != "Constant" for node in self.model.graph.node)

    @property
    def elements(self) -> int:
        """Numbers in all weights and inputs."""
        weights = sum(int(np.prod(tensor.dims, dtype=np.int64)) for tensor in tensors(self.model))
        return weights + sum(array.size for array in self.feeds.values())

    def copy(self) -> onnx.ModelProto:
        """The model, to be changed and put into another specimen."""
        made = onnx.ModelProto()
        made.CopyFrom(self.model)
        return made

    def save(self, model: Path, feeds: Path) -> None:
        """Write both."""
        model.write_bytes(self.model.SerializeToString(deterministic=True))
        save_feeds(feeds, self.feeds)

    @staticmethod
    def load(model: Path, feeds: Path) -> Specimen:
        """Read both; no feeds where there is no such file."""
        return Specimen(read_model(model), read_arrays(feeds) if feeds.exists() else {})


def read_model(path: Path, *, weights: bool = True) -> onnx.ModelProto:
    """The message in a file; without `weights`, those in external data stay there."""
    return cast(Any, onnx).load_model(path, load_external_data=weights)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The initializers and the tensors of `Constant` nodes of the main graph."""
    yield from model.graph.initializer
    for node in model.graph.node:
        if node.op_type == "Constant":
            yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def array_of(tensor: onnx.TensorProto) -> Array:
    """Its content; bfloat16 and the like as `ml_dtypes`."""
    return onnx.numpy_helper.to_array(tensor)


def replace(tensor: onnx.TensorProto, array: Array) -> None:
    """Give a tensor, which keeps its name, another content of the same type."""
    made = onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), tensor.name)
    tensor.CopyFrom(made)
