"""Attention: what queries, keys and values are turned into."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.attention.fuse_multi_head_attention import FuseMultiHeadAttention

RULES: tuple[Rule[Any], ...] = (FuseMultiHeadAttention(),)
