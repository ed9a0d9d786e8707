"""BatchNormalization, GroupNormalization and Dropout: modes of training, and parameters per group."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ncgopt import facts
from ncgopt.opset.site import Site


def test_mode(site: Site) -> None:
    """`is_test` went: only inference is left where training is not asked for otherwise."""
    if site.attribute("is_test", 0) == 0:
        site.refuse("it is in training mode (is_test is 0)")
    site.drop("is_test", "consumed_inputs")


def spatial(site: Site) -> None:
    """`spatial` went, and with it statistics per element."""
    if site.attribute("spatial", 1) != 1:
        site.refuse("statistics per element (spatial is 0) have no newer form")
    site.drop("spatial")


def inference(site: Site) -> None:
    """The statistics as further outputs went; only training has them."""
    _drop_unused_outputs(site, "it returns statistics, which only training does from operator set 14 on")


def mask(site: Site) -> None:
    """The mask became boolean."""
    _drop_unused_outputs(site, "its mask is used, whose element type operator set 10 changed")


def dropout(site: Site) -> None:
    """`ratio` became an input. Nothing is dropped outside of training, before and after."""
    _drop_unused_outputs(
        site, "its mask is used, and only from operator set 12 on it says what it holds outside training"
    )
    ratio = site.attribute("ratio")
    site.drop("ratio")
    given = None if ratio is None else site.constant(np.array(ratio, dtype=np.float32))
    site.set_inputs([site.input(0), given])


def _drop_unused_outputs(site: Site, reason: str) -> None:
    if any(v.uses() or v.is_graph_output() for v in site.node.outputs[1:]):
        site.refuse(reason)
    site.node.resize_outputs(1)


def group_normalization(site: Site) -> None:
    """Scale and bias were per group and are now per channel: each is repeated for the channels of its group."""
    x, scale, bias = (site.required(index) for index in range(3))
    channels, groups = _channels(site, x), int(site.attribute("num_groups"))
    if channels % groups:
        site.refuse(f"{channels} channels are no multiple of {groups} groups")
    site.set_inputs([x, *(_repeated(site, value, groups, channels // groups) for value in (scale, bias))])


def _channels(site: Site, x: ir.Value) -> int:
    dims = facts.shape(x)
    channels = dims[1] if dims is not None and len(dims) > 1 else None
    if not isinstance(channels, int):
        site.refuse("the number of channels is not known, and scale and bias must be repeated for it")
    return channels


def _repeated(site: Site, value: ir.Value, groups: int, times: int) -> ir.Value:
    array = facts.constant(value)
    if array is not None:
        return site.constant(np.repeat(array, times))
    dtype = facts.dtype(value)
    column = site.op("Reshape", [value, site.constant(np.array([groups, 1], dtype=np.int64))], dtype=dtype)
    table = site.op("Expand", [column, site.constant(np.array([groups, times], dtype=np.int64))], dtype=dtype)
    return site.op("Reshape", [table, site.constant(np.array([-1], dtype=np.int64))], dtype=dtype)
