"""Functions in JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_RANDOM = np.random.default_rng(0)
_W1, _W2 = (jnp.asarray(_RANDOM.normal(size=size), jnp.float32) for size in ((10, 64), (64, 5)))
_Q, _K, _V, _O = (jnp.asarray(_RANDOM.normal(size=(32, 32)) / 6, jnp.float32) for _ in range(4))


def mlp(x: jax.Array) -> jax.Array:
    return jax.nn.relu(x @ _W1) @ _W2


def attention(x: jax.Array) -> jax.Array:
    batch, length, width = x.shape

    def heads(weights: jax.Array) -> jax.Array:
        return (x @ weights).reshape(batch, length, 4, 8).transpose(0, 2, 1, 3)

    scores = heads(_Q) @ heads(_K).transpose(0, 1, 3, 2) / np.float32(np.sqrt(8.0))
    mixed = jax.nn.softmax(scores, axis=-1) @ heads(_V)
    return mixed.transpose(0, 2, 1, 3).reshape(batch, length, width) @ _O
