"""Activation functions, alone and fused into what feeds them."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule

RULES: tuple[Rule[Any], ...] = ()
