"""Identities of arithmetic: neutral elements, inverse operations, chains of constants."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.algebra.eliminate_add_zero import EliminateAddZero

RULES: tuple[Rule[Any], ...] = (EliminateAddZero(),)
