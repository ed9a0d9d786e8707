"""Attention: what queries, keys and values are turned into."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.attention.fuse_attention import FuseAttention
from ncgopt.rules.attention.fuse_multi_head_attention import FuseMultiHeadAttention

# ONNX's own operator first: any runtime has it, and ONNX Runtime is faster with it.
RULES: tuple[Rule[Any], ...] = (FuseAttention(), FuseMultiHeadAttention())
