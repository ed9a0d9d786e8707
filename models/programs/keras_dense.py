"""The program of the tutorial: two hidden layers in Keras' functional form.

    ncgopt capture models/programs/keras_dense.py:model -o dense.onnx

Input of 10, Dense 64 relu, Dense 64 relu. `data.npz` beside the output is for `ncgopt prune`: see `write_data`.
"""

from __future__ import annotations

import sys

import keras
import numpy as np
from keras import layers


def model() -> keras.Model:
    """The model, always with the same weights; biases are not zero, as after training."""
    keras.utils.set_random_seed(0)
    features = keras.Input((10,), name="features")
    hidden = layers.Dense(64, activation="relu", bias_initializer="normal")(features)
    return keras.Model(features, layers.Dense(64, activation="relu", bias_initializer="normal")(hidden))


def write_data(path: str) -> None:
    """256 samples of inputs, as a `.npz`."""
    np.savez(path, features=np.random.default_rng(0).standard_normal((256, 10)).astype(np.float32))


if __name__ == "__main__":
    write_data(sys.argv[1])
