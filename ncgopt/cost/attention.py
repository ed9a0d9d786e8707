"""FLOPs of attention: scores, softmax and the weighted sum, and the projections where fused in.

Sources: ONNX Attention-23, and `Attention`, `MultiHeadAttention` and `GroupQueryAttention` in ONNX
Runtime's docs/ContribOperators.md. A causal mask does not halve the count: the CPU kernels compute the
full score matrix.
"""

from __future__ import annotations

from collections.abc import Callable

from ncgopt.cost.flops import matmul_flops
from ncgopt.cost.sized import Sized

# max, subtract, exp, sum, divide per score, and its scaling before
_PER_SCORE = 6


def _core(batch: int, heads: int, queries: int, keys: int, head: int, value_head: int) -> int:
    """FLOPs of `softmax(Q K^T / sqrt(head)) V` over all heads."""
    scores = batch * heads * queries * keys
    return scores * (2 * head + 2 * value_head + _PER_SCORE)


def _past(sized: Sized, index: int) -> int:
    """Cached steps before the current ones: dimension 2 of `[batch, heads, past, head]`."""
    return sized.input(index)[2] if sized.has_input(index) else 0


def _standard(sized: Sized) -> int:
    """Attention-23: `[B, N, S, H]`, or `[B, S, N*H]` with the number of heads as attributes."""
    query, key, value = sized.input(0), sized.input(1), sized.input(2)
    if len(query) == 4:
        batch, heads, queries, head = query
        keys, value_head = key[2], value[3]
    else:
        batch, queries, hidden = query
        heads, shared = sized.integer("q_num_heads"), sized.integer("kv_num_heads")
        keys, head, value_head = key[1], hidden // heads, value[2] // shared
    return _core(batch, heads, queries, keys + _past(sized, 4), head, value_head)


def _fused_projection(sized: Sized) -> int:
    """com.microsoft.Attention: input `[B, S, D]`, weights `[D, q + k + v]`, past `[2, B, N, P, H]`."""
    batch, queries, width = sized.input(0)
    columns = sized.input(1)[1]
    heads = sized.integer("num_heads")
    sizes = sized.integers("qkv_hidden_sizes") or (columns // 3,) * 3
    past = sized.input(4)[3] if sized.has_input(4) else 0
    projection = matmul_flops((batch, queries), width, columns) + batch * queries * columns
    return projection + _core(batch, heads, queries, queries + past, sizes[0] // heads, sizes[2] // heads)


def _multi_head(sized: Sized) -> int:
    """MultiHeadAttention; keys and values may be packed with the query, or given per head."""
    query, heads = sized.input(0), sized.integer("num_heads")
    if len(query) == 5:  # packed [B, S, N, 3, H]
        return _core(query[0], heads, query[1], query[1] + _past(sized, 6), query[4], query[4])
    batch, queries, hidden = query
    key, head = sized.input(1), hidden // heads
    if len(key) == 5:  # packed [B, L, N, 2, H]
        return _core(batch, heads, queries, key[1] + _past(sized, 6), head, key[4])
    value = sized.input(2)
    keys, value_head = (key[2], value[3]) if len(key) == 4 else (key[1], value[2] // heads)
    return _core(batch, heads, queries, keys + _past(sized, 6), head, value_head)


def _grouped(sized: Sized) -> int:
    """GroupQueryAttention: query `[B, S, N*H]`, or all three packed in it; the cache is input 3."""
    batch, queries, hidden = sized.input(0)
    heads, shared = sized.integer("num_heads"), sized.integer("kv_num_heads")
    packed = not sized.has_input(1)
    head = hidden // (heads + 2 * shared) if packed else hidden // heads
    return _core(batch, heads, queries, _past(sized, 3) + queries, head, head)


COUNTERS: dict[tuple[str, str], Callable[[Sized], int]] = {
    ("", "Attention"): _standard,
    ("com.microsoft", "Attention"): _fused_projection,
    ("com.microsoft", "MultiHeadAttention"): _multi_head,
    ("com.microsoft", "GroupQueryAttention"): _grouped,
}
