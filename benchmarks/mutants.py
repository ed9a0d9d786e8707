"""Is verification blind? Models with one thing in them made wrong, which it has to reject.

    python benchmarks/mutants.py MODEL.onnx ... [--count N] [--seed S] [--mode whole|window]

Each mutant differs from its model in one node: a weight that is 1 % too large, one output channel turned
around, another dilation, stride, padding, axis, permutation or epsilon, two inputs exchanged. Mutants that
are no longer valid count as rejected. A survivor is traced: `same` says that its node computes the same
bits as before on all data used (a dilation of a kernel of one element, say), so that there is nothing to
reject; `hidden` says what remains of the difference in the model's outputs; `unseen` that neither is known,
as a report keeps the values that differ most and no others.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import ncgopt
from ncgopt.report import Verification
from ncgopt.settings import VerifySettings

_LISTS = ("dilations", "strides", "pads", "perm")
_NUMBERS = ("axis", "epsilon", "alpha", "keepdims")
_ORDERED = ("Sub", "Div", "MatMul", "Pow", "Less", "Greater")


def mutations(model: Any) -> Iterator[tuple[str, str, int, str]]:
    """What can be made wrong: kind, name of the node's first output, node, and attribute or weight."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for at, node in enumerate(model.graph.node):
        where = f"{node.op_type} {node.output[0]}"
        for attribute in node.attribute:
            if attribute.name in _LISTS and len(attribute.ints) > 1:
                yield attribute.name, where, at, attribute.name
            if attribute.name in _NUMBERS:
                yield attribute.name, where, at, attribute.name
        if node.op_type in _ORDERED and len(set(node.input)) > 1:
            yield "swap", where, at, ""
        for name in node.input:
            if name in weights and weights[name].data_type == onnx.TensorProto.FLOAT and len(weights[name].dims) > 1:
                yield "weight", where, at, name
                yield "channel", where, at, name


def mutate(model: Any, kind: str, at: int, what: str) -> None:
    """Make it wrong."""
    node = model.graph.node[at]
    if kind == "swap":
        first, second = node.input[0], node.input[1]
        node.input[0], node.input[1] = second, first
    elif kind in {"weight", "channel"}:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == what)
        content = numpy_helper.to_array(tensor).copy()
        if kind == "weight":
            content *= np.float32(1.01)
        else:
            content[0] = -content[0]
        tensor.CopyFrom(numpy_helper.from_array(content, what))
    else:
        attribute = next(found for found in node.attribute if found.name == what)
        if attribute.type == onnx.AttributeProto.FLOAT:
            attribute.f *= 10
        elif attribute.type == onnx.AttributeProto.INT:
            attribute.i = 1 - attribute.i if kind == "keepdims" else attribute.i - 1
        elif kind == "perm":
            attribute.ints[-1], attribute.ints[-2] = attribute.ints[-2], attribute.ints[-1]
        elif kind == "pads":
            half = len(attribute.ints) // 2  # one element of padding goes from one side to the other
            attribute.ints[half - 1] += 1
            attribute.ints[-1] -= 1
        else:
            attribute.ints[-1] += 1


def traced(original: Path, mutant: Path, output: str, settings: VerifySettings) -> str:
    """What became of the difference in a mutant that passed."""
    found = ncgopt.verify(original, mutant, dataclasses.replace(settings, mode="window"))
    if found.status == "failed":
        return f"hidden: {found.reason}"
    seen = [o for run in found.runs for o in run.outputs if o.output == output]
    if not seen:
        return "unseen: what its node computes is not among the values that the report keeps"
    equal = all(o.max_abs == 0 and not o.detail for o in seen)
    return "same" if equal else f"hidden: {found.reason or found.worst}"


def main() -> None:
    """Print one line per mutant that passed, and how many of each kind there were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=20, help="mutants per model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", choices=["whole", "window"], default="whole")
    options = parser.parse_args()
    settings = VerifySettings(mode=options.mode, timeout=120)
    verdicts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        mutant = Path(folder, "mutant.onnx")
        for path in options.models:
            model = onnx.load(path)
            found = list(mutations(model))
            kinds = sorted({kind for kind, *_ in found})
            rng = np.random.default_rng(options.seed)
            for number in range(min(options.count, len(found))):
                of_kind = [m for m in found if m[0] == kinds[number % len(kinds)]]
                kind, where, at, what = of_kind[rng.integers(len(of_kind))]
                wrong = onnx.ModelProto()
                wrong.CopyFrom(model)
                mutate(wrong, kind, at, what)
                onnx.save(wrong, mutant)
                verdict = _verdict(ncgopt.verify(path, mutant, settings))
                if verdict == "passed":
                    why = traced(path, mutant, model.graph.node[at].output[0], settings)
                    verdict = why.partition(":")[0]
                    print(f"{path.stem}: {kind} of {where} {what}: {why}", flush=True)
                verdicts[kind, verdict] += 1
    for (kind, verdict), count in sorted(verdicts.items()):
        print(f"{kind:12s} {verdict:12s} {count}")


def _verdict(found: Verification) -> str:
    return "rejected" if found.status == "failed" else found.status


if __name__ == "__main__":
    main()
