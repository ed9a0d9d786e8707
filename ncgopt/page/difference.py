"""The page of the difference of two models."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from ncgopt.diff.compare import Difference
from ncgopt.page.build import page
from ncgopt.page.drawing import drawings


def difference_page(difference: Difference, left: ir.Model, right: ir.Model) -> str:
    """Both graphs with what differs in colour, and everything in `difference`."""
    before, after = drawings(left, right, exact=True)
    title = f"{Path(difference.left).name} and {Path(difference.right).name}: ncgopt diff"
    return page(title, {"kind": "diff", "diff": difference, "before": before, "after": after, "guards": {}})
