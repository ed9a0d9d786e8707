"""BatchNormalization and Dropout at inference."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule

RULES: tuple[Rule[Any], ...] = ()
