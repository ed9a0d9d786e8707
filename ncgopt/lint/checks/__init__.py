"""Every check, by code.

NCG0: whether the model is sound and optimized. NCG1: budgets. NCG2: weights. NCG3: interface. NCG4: privacy.
NCG5: operators.
"""

from __future__ import annotations

from ncgopt.lint.check import Check
from ncgopt.lint.checks.allowed_domains import AllowedDomains
from ncgopt.lint.checks.anonymous_dims import AnonymousDims
from ncgopt.lint.checks.checker import Checker
from ncgopt.lint.checks.contradiction import Contradiction
from ncgopt.lint.checks.custom_domains import CustomDomains
from ncgopt.lint.checks.denormal_weights import DenormalWeights
from ncgopt.lint.checks.deprecated_operators import DeprecatedOperators
from ncgopt.lint.checks.duplicate_weights import DuplicateWeights
from ncgopt.lint.checks.float64_weights import Float64Weights
from ncgopt.lint.checks.inf_weights import InfWeights
from ncgopt.lint.checks.invalid import Invalid
from ncgopt.lint.checks.leaks import Leaks
from ncgopt.lint.checks.max_bytes import MaxBytes
from ncgopt.lint.checks.max_nodes import MaxNodes
from ncgopt.lint.checks.nan_weights import NanWeights
from ncgopt.lint.checks.opset_range import OpsetRange
from ncgopt.lint.checks.orphaned_data import OrphanedData
from ncgopt.lint.checks.random_operators import RandomOperators
from ncgopt.lint.checks.repair import Repair
from ncgopt.lint.checks.rewrite import Rewrite
from ncgopt.lint.checks.rolled_back import RolledBack
from ncgopt.lint.checks.unbound_dims import UnboundDims
from ncgopt.lint.checks.unused_inputs import UnusedInputs

CHECKS: tuple[type[Check], ...] = (
    Rewrite,
    Invalid,
    Checker,
    Repair,
    Contradiction,
    RolledBack,
    MaxBytes,
    MaxNodes,
    OpsetRange,
    AllowedDomains,
    DuplicateWeights,
    Float64Weights,
    NanWeights,
    InfWeights,
    DenormalWeights,
    OrphanedData,
    AnonymousDims,
    UnboundDims,
    UnusedInputs,
    Leaks,
    DeprecatedOperators,
    RandomOperators,
    CustomDomains,
)

__all__ = ["CHECKS"]
