"""Identities of arithmetic: neutral elements, inverse operations, chains of constants."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.algebra.eliminate_add_positive_zero import EliminateAddPositiveZero
from ncgopt.rules.algebra.eliminate_add_zero import EliminateAddZero
from ncgopt.rules.algebra.eliminate_div_one import EliminateDivOne
from ncgopt.rules.algebra.eliminate_double_neg import EliminateDoubleNeg
from ncgopt.rules.algebra.eliminate_double_not import EliminateDoubleNot
from ncgopt.rules.algebra.eliminate_mul_one import EliminateMulOne
from ncgopt.rules.algebra.eliminate_pow_one import EliminatePowOne
from ncgopt.rules.algebra.eliminate_sub_zero import EliminateSubZero
from ncgopt.rules.algebra.eliminate_zero_initial_state import EliminateZeroInitialState
from ncgopt.rules.algebra.fuse_add_constants import FuseAddConstants
from ncgopt.rules.algebra.fuse_affine_chain import FuseAffineChain
from ncgopt.rules.algebra.fuse_mul_constants import FuseMulConstants
from ncgopt.rules.algebra.fuse_neg_into_add_sub import FuseNegIntoAddSub
from ncgopt.rules.algebra.fuse_or_equal import FuseOrEqual
from ncgopt.rules.algebra.replace_div_by_power_of_two import ReplaceDivByPowerOfTwo
from ncgopt.rules.algebra.replace_pow_reciprocal import ReplacePowReciprocal
from ncgopt.rules.algebra.replace_pow_root import ReplacePowRoot
from ncgopt.rules.algebra.replace_pow_square import ReplacePowSquare

# Removing comes before fusing and replacing: what does nothing should go, not change its form.
RULES: tuple[Rule[Any], ...] = (
    EliminateAddZero(),
    EliminateAddPositiveZero(),
    EliminateZeroInitialState(),
    EliminateSubZero(),
    EliminateMulOne(),
    EliminateDivOne(),
    EliminatePowOne(),
    EliminateDoubleNeg(),
    EliminateDoubleNot(),
    FuseNegIntoAddSub(),
    FuseOrEqual(),
    FuseAddConstants(),
    FuseMulConstants(),  # before a division is replaced: one rounding of both constants, not a product of reciprocals
    ReplaceDivByPowerOfTwo(),
    ReplacePowSquare(),
    ReplacePowReciprocal(),
    ReplacePowRoot(),
    FuseAffineChain(),
)
