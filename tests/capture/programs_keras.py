"""Keras models of three kinds, for whichever backend Keras runs on."""

from __future__ import annotations

import keras
from keras import layers


def dense() -> keras.Model:
    """The two hidden layers of the tutorial."""
    features = keras.Input((10,), name="features")
    hidden = layers.Dense(64, activation="relu")(features)
    return keras.Model(features, layers.Dense(64, activation="relu")(hidden))


def cnn() -> keras.Model:
    image = keras.Input((28, 28, 1), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(image)))
    x = layers.ReLU()(layers.Conv2D(16, 3, padding="valid", groups=2)(x))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def transformer() -> keras.Model:
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(50, 32)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, 8)(x, x))
    x = layers.LayerNormalization()(x + layers.Dense(32)(layers.Dense(64, activation="gelu")(x)))
    return keras.Model(tokens, x)
