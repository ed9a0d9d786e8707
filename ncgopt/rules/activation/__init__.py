"""Activation functions: what does nothing goes, what is written in pieces becomes one operator."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.activation.eliminate_noop_clip import EliminateNoopClip
from ncgopt.rules.activation.eliminate_noop_relu import EliminateNoopRelu

RULES: tuple[Rule[Any], ...] = (EliminateNoopRelu(), EliminateNoopClip())
