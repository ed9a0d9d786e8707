"""What a small constant model computes: ONNX Runtime first, onnx's reference where it has no kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from ncgopt.runtime.failures import CannotEvaluate
from ncgopt.runtime.session import Array, OrtError, Value, open_session

_NO_KERNEL = ("NOT_IMPLEMENTED", "UNSUPPORTED_TYPE")


def evaluate(model: bytes, feeds: Mapping[str, Array]) -> list[Value]:
    """Outputs of a serialized model, computed with ONNX Runtime's optimizations off, one thread.

    bfloat16, float8 and 4-bit tensors are arrays of the `ml_dtypes` type. Where ONNX Runtime has
    no kernel or cannot pass the type, `onnx.reference.ReferenceEvaluator` computes instead, and
    its results must have the dtypes that the model declares: it is known to be careless there.

    Raises:
        CannotEvaluate: neither can; the message says why.
    """
    try:
        return open_session(model, optimize=False).run(feeds)
    except OrtError as error:
        unsupported = error.code in _NO_KERNEL or "not currently registered or supported" in str(error)
        if not unsupported:
            raise CannotEvaluate(str(error)) from None
    return _by_reference(model, feeds)


def _by_reference(model: bytes, feeds: Mapping[str, Array]) -> list[Value]:
    from onnx.reference import ReferenceEvaluator  # takes a third as long to import as all of onnx, and is rarely used

    proto = onnx.load_model_from_string(model)
    try:
        evaluator: Any = ReferenceEvaluator(proto)
        results: list[Value] = list(evaluator.run(None, dict(feeds)))
    except Exception as error:  # it raises whatever numpy raises
        raise CannotEvaluate(f"reference implementation: {type(error).__name__}: {error}") from None
    for declared, value in zip(proto.graph.output, results, strict=True):
        element = declared.type.tensor_type.elem_type
        if not isinstance(value, np.ndarray) or element == onnx.TensorProto.UNDEFINED:
            continue
        wanted = onnx.helper.tensor_dtype_to_np_dtype(element)
        if value.dtype != wanted and element != onnx.TensorProto.STRING:
            raise CannotEvaluate(f"reference implementation gives {value.dtype} for {declared.name}, not {wanted}")
    return results
