"""The part of a reduction that runs in the child process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from ncgopt.reduce.specimen import read_model
from ncgopt.runtime.session import OrtError, Value
from ncgopt.runtime.stage import stage
from ncgopt.settings import VerifySettings
from ncgopt.verify.once import given_in, outputs_of
from ncgopt.verify.userfeeds import save_feeds


def values(model: Path, feeds: Path, names: Sequence[str], settings: VerifySettings, path: Path) -> None:
    """Run `model` and write what `names` hold to `path`; what is no tensor is left out.

    Raises:
        OrtError: it does not run like this.
    """
    stage("computing inner values")
    proto = read_model(model, weights=False)
    declared = {output.name for output in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in declared)
    beside = model.with_name("values.onnx")  # external data are found beside it
    beside.write_bytes(proto.SerializeToString())
    given = given_in(feeds)
    found: dict[str, Value] = {}
    for level in (False, True):
        try:
            found = outputs_of(beside, "computing inner values", given, level, settings)
            break
        except OrtError:
            if level:
                raise
    save_feeds(path, {name: found[name] for name in names if isinstance(found.get(name), np.ndarray)})  # pyright: ignore[reportArgumentType]
