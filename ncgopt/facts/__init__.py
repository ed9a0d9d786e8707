"""Conservative knowledge about values. "Don't know" (None or False) is always a legal answer.

A fact holds for every run of the model, whatever is fed. What is merely declared (a `value_info`
of an inner value) is not a fact: ONNX Runtime does not enforce it.
"""

from ncgopt.facts.attributes import float_attribute, int_attribute, ints_attribute, is_set, string_attribute
from ncgopt.facts.constants import constant, is_constant, scalar
from ncgopt.facts.inference.subgraphs import inputs_are_enforced, survey
from ncgopt.facts.memory import forget, forget_from
from ncgopt.facts.shapes import (
    dtype,
    is_broadcast_of,
    is_float,
    is_integer,
    known_size,
    rank,
    same_dtype,
    same_shape,
    shape,
    static,
)
from ncgopt.facts.symbols import Dim
from ncgopt.facts.types import Shape
from ncgopt.facts.uses import input_of, is_kept, keep, other_users, producer, sole_user, user_count

__all__ = [
    "Dim",
    "Shape",
    "constant",
    "dtype",
    "float_attribute",
    "forget",
    "forget_from",
    "input_of",
    "inputs_are_enforced",
    "int_attribute",
    "ints_attribute",
    "is_broadcast_of",
    "is_constant",
    "is_float",
    "is_integer",
    "is_kept",
    "is_set",
    "keep",
    "known_size",
    "other_users",
    "producer",
    "rank",
    "same_dtype",
    "same_shape",
    "scalar",
    "shape",
    "sole_user",
    "static",
    "string_attribute",
    "survey",
    "user_count",
]
