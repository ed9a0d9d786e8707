"""Operators whose attributes became inputs."""

from __future__ import annotations

import math

import numpy as np

from ncgopt import facts
from ncgopt.opset.site import Site

_LARGEST = float(np.finfo(np.float32).max)


def axes(site: Site) -> None:
    """Reductions and Squeeze: `axes` became the second input; without it all axes count, before and after."""
    if site.has_empty("axes"):
        if site.node.op_type == "Squeeze":
            site.refuse("an empty list of axes means no axis to some runtimes and every axis to others")
        site.drop("axes")
    data, given = site.input(0), site.ints_as_value("axes")
    site.set_inputs([data, given])


def unsqueeze(site: Site) -> None:
    """`axes` became the second input."""
    data, given = site.input(0), site.ints_as_value("axes")
    site.set_inputs([data, given if given is not None else site.refuse("axes are missing")])


def split(site: Site) -> None:
    """`split` became the second input; without it the parts are equal, before and after."""
    data, given = site.input(0), site.ints_as_value("split")
    site.set_inputs([data, given])


def split_evenly(site: Site) -> None:
    """Equal parts must say how many they are; they are as many as the node has outputs."""
    if site.input(1) is None:
        site.set_attribute("num_outputs", len(site.node.outputs))


def slice_(site: Site) -> None:
    """`starts`, `ends` and `axes` became inputs."""
    data = site.input(0)
    starts, ends, along = (site.ints_as_value(name) for name in ("starts", "ends", "axes"))
    site.set_inputs([data, starts, ends, along])


def top_k(site: Site) -> None:
    """`k` became the second input, of one element."""
    k = site.attribute("k")
    site.drop("k")
    site.set_inputs([site.input(0), site.constant(np.array([k], dtype=np.int64))])


def clip(site: Site) -> None:
    """`min` and `max` became inputs; by default they were the limits of float, which bound infinities too."""
    x = site.required(0)
    low, high = float(site.attribute("min", -_LARGEST)), float(site.attribute("max", _LARGEST))
    site.drop("min", "max")
    site.set_inputs([x, site.like(low, x), site.like(high, x)])


def pad(site: Site) -> None:
    """`pads` and `value` became inputs; zero is the default value, before and after."""
    x, value = site.required(0), float(site.attribute("value", 0.0))
    constant = site.attribute("mode", "constant") == "constant"
    site.drop("value")
    pads = site.ints_as_value("pads")
    is_zero = value == 0 and math.copysign(1, value) > 0
    site.set_inputs([x, pads, site.like(value, x) if constant and not is_zero else None])


def dft(site: Site) -> None:
    """`axis` became the third input, and its default another one."""
    axis = site.constant(np.array(site.attribute("axis", 1), dtype=np.int64))
    site.drop("axis")
    site.set_inputs([site.input(0), site.input(1), axis])


def reshape(site: Site) -> None:
    """`shape` became the second input."""
    data, given = site.input(0), site.ints_as_value("shape")
    site.drop("consumed_inputs")
    site.set_inputs([data, given if given is not None else site.refuse("the shape is missing")])


def upsample(site: Site) -> None:
    """`scales` became the second input."""
    scales = site.constant(np.array(site.attribute("scales", ()), dtype=np.float32))
    site.drop("scales")
    site.set_inputs([site.input(0), scales])


def one_hot(site: Site) -> None:
    """A negative index was out of range, and now counts from the end: only without any it means the same."""
    indices = facts.constant(site.input(0))
    if indices is None or (indices < 0).any():
        site.refuse("from operator set 11 on negative indices count from the end, and these may be negative")
