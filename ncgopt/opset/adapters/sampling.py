"""Upsample, Resize, GridSample and RoiAlign: new attributes whose defaults mean something else."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.opset.site import Site


def upsample(site: Site) -> None:
    """Upsample is Resize by scales of at least 1; a nearest neighbour lies at the rounded-down coordinate."""
    site.node.op_type = "Resize"
    if site.target < 11:
        return
    x, scales = site.input(0), site.input(1)
    _write(site, x, scales, "floor")
    site.node.version = 11


def resize(site: Site) -> None:
    """Before operator set 11 Resize was asymmetric; nearest rounded down to enlarge, and up to reduce.

    The specification leaves that rounding open, so it is what ONNX Runtime does (`UpsampleBase`,
    `NearestPixel` with `SIMPLE`).
    """
    scales = facts.constant(site.input(1))
    rounding = "floor"
    if site.attribute("mode", "nearest") == "nearest":
        if scales is None:
            site.refuse("nearest rounds one way to enlarge and the other to reduce, and the scales are not known")
        if (scales < 1).any() and (scales > 1).any():
            site.refuse("nearest rounds one way to enlarge and the other to reduce, and the scales do both")
        rounding = "ceil" if (scales < 1).any() else "floor"
    _write(site, site.input(0), site.input(1), rounding)


def _write(site: Site, x: ir.Value | None, scales: ir.Value | None, rounding: str) -> None:
    roi = None if site.target >= 13 else site.constant(np.zeros(0, dtype=np.float32))
    site.set_attribute("coordinate_transformation_mode", "asymmetric")
    if site.attribute("mode", "nearest") == "nearest":
        site.set_attribute("nearest_mode", rounding)
    elif site.attribute("mode") == "bilinear":
        site.set_attribute("mode", "linear")
    site.set_inputs([x, roi, scales])


def resize_by_one(site: Site) -> None:
    """Scales and sizes exclude each other: scales that stood there empty beside sizes are left out.

    The region is left out where it has no effect.
    """
    transformation = site.attribute("coordinate_transformation_mode", "half_pixel")
    if transformation == "tf_half_pixel_for_nn":
        site.refuse("operator set 13 has no coordinate_transformation_mode tf_half_pixel_for_nn")
    x, roi, scales, sizes = (site.input(index) for index in range(4))
    site.set_inputs([x, roi if transformation == "tf_crop_and_resize" else None, None if sizes else scales, sizes])


def grid_sample(site: Site) -> None:
    """The modes got the names that Resize has for them."""
    names = {"bilinear": "linear", "bicubic": "cubic"}
    mode = str(site.attribute("mode", "bilinear"))
    site.set_attribute("mode", names.get(mode, mode))


def roi_align(site: Site) -> None:
    """The new default shifts coordinates by half a pixel."""
    site.set_attribute("coordinate_transformation_mode", "output_half_pixel")
