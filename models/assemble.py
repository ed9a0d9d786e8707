"""What the model scripts share: text plus weights make a model, and a model makes the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

PRODUCER = "ncgopt-models"


class Weights:
    """Draws weights that are the same on every machine and with every numpy.

    `RandomState` is frozen by numpy, which promises that of no other generator. Uniform draws need nothing but
    multiplication; normal ones go through `log`, whose last bit depends on the C library.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.RandomState(seed)

    def glorot(self, *shape: int) -> np.ndarray:
        """Float32 weights of the given shape, uniform in ±sqrt(6 / (fan in + fan out)) (Glorot and Bengio, 2010).

        The receptive field counts into both fans, as everywhere: a [64, 32, 3, 3] kernel has fan in 32 * 9.
        """
        field = int(np.prod(shape[2:], dtype=np.int64))
        limit = np.sqrt(6.0 / ((shape[0] + shape[1]) * field))
        return self.uniform(-limit, limit, *shape)

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Float32 numbers of the given shape, uniform in [low, high)."""
        return (low + (high - low) * self._random.random_sample(shape)).astype(np.float32)


def assemble(text: str, weights: Mapping[str, np.ndarray], description: str) -> onnx.ModelProto:
    """Parse a model in ONNX's text format and give it its weights as initializers, in the given order.

    Nodes are named as exporters name them, by operator and position. The model is checked in full, shapes included:
    `onnx.checker.ValidationError` and `onnx.shape_inference.InferenceError` mean that the text is wrong.
    """
    model = onnx.parser.parse_model(text)
    model.producer_name = PRODUCER
    model.doc_string = description
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    _name_nodes(model.graph, "")
    onnx.checker.check_model(model, full_check=True)
    return model


def _name_nodes(graph: onnx.GraphProto, scope: str) -> None:
    for index, node in enumerate(graph.node):
        node.name = f"{scope}{node.op_type}_{index}"
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _name_nodes(attribute.g, f"{node.name}/{attribute.name}/")


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write the model with the same bytes every time."""
    path.write_bytes(model.SerializeToString(deterministic=True))
