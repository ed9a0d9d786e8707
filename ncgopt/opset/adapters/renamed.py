"""Operators that changed a name, a spelling or a default, and nothing else."""

from __future__ import annotations

import onnx_ir as ir

from ncgopt import facts
from ncgopt.opset.site import Site

_HALVES = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


def in_place_hint(site: Site) -> None:
    """`consumed_inputs` said which inputs may be overwritten; runtimes know that themselves."""
    site.drop("consumed_inputs")


def sequence_hint(site: Site) -> None:
    """`output_sequence` said whether the first output is used; whether it has a name says the same."""
    site.drop("output_sequence")


def no_broadcast_flag(site: Site) -> None:
    """Gemm broadcasts its third input wherever the shapes ask for it."""
    site.drop("broadcast")


def cast(site: Site) -> None:
    """The element type was a name, and became its number."""
    name = site.attribute("to")
    if not isinstance(name, str) or name not in ir.DataType.__members__:
        site.refuse(f"{name!r} is no element type")
    site.set_attribute("to", ir.DataType[name].value)


def concat(site: Site) -> None:
    """`axis` lost its default."""
    site.set_attribute("axis", int(site.attribute("axis", 1)))


def scatter(site: Site) -> None:
    """Scatter is called ScatterElements."""
    site.node.op_type = "ScatterElements"


def conv_transpose(site: Site) -> None:
    """Where an odd padding goes was exchanged between the two automatic modes."""
    if str(site.attribute("auto_pad", "NOTSET")).startswith("SAME"):
        site.refuse("operator set 11 changed where auto_pad puts an odd padding")


def range_(site: Site) -> None:
    """Half types are summed up in float from operator set 27 on."""
    dtype = facts.dtype(site.required(0))
    if dtype is None or dtype in _HALVES:
        site.refuse("from operator set 27 on half types are summed up in float")
