"""BatchNormalization, LayerNormalization and Dropout at inference."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.normalization.eliminate_dropout import EliminateDropout

RULES: tuple[Rule[Any], ...] = (EliminateDropout(),)
