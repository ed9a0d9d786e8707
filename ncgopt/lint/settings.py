"""What a user may ask of `check`: one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ncgopt.bytesize import ByteSize

SeverityName = Literal["note", "warning", "error"]


@dataclass(frozen=True)
class CheckSettings:
    """Which checks run, and against which budget.

    Attributes:
        select: codes or the beginnings of codes (`NCG2`), or names (`nan-weights`); empty for all.
        ignore: the same, taken away again.
        fail_on: the lowest severity for which `check` ends with exit code 1.
        max_bytes: bytes on disk that a model may have, external data included; None for no such limit.
        max_nodes: nodes it may have, subgraphs and functions included, `Constant` nodes not.
        min_opset, max_opset: versions of the default operator set that are allowed.
        allowed_domains: operator sets that nodes may come from besides ONNX's own and the model's own functions;
            None for any.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: SeverityName = "warning"
    max_bytes: ByteSize | None = None
    max_nodes: int | None = None
    min_opset: int | None = None
    max_opset: int | None = None
    allowed_domains: tuple[str, ...] | None = None
