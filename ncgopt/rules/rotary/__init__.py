"""Rotary position embeddings."""

from __future__ import annotations

from typing import Any

from ncgopt.rewrite.rule import Rule
from ncgopt.rules.rotary.fuse_rotary_embedding_for_onnxruntime import FuseRotaryEmbeddingForOnnxruntime

RULES: tuple[Rule[Any], ...] = (FuseRotaryEmbeddingForOnnxruntime(),)
