"""What the trained models share: scikit-learn's digits, layers with gradients in numpy, and Adam.

No framework: numpy alone repeats a training bit for bit on one machine and one BLAS, and nobody needs to
install a gigabyte to rebuild two models of half a megabyte. Another BLAS rounds otherwise and gives other
weights of the same quality, which is why the trained files are kept beside their scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

CLASSES = 10
_TEST = 450  # of 1797 images
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8  # Adam's (Kingma and Ba, 2015)


@dataclass(frozen=True)
class Digits:
    """8 x 8 images in 0..1, float32 [count, 1, 8, 8], and their labels, int64 [count]; split at random.

    Source: scikit-learn's `load_digits` (the test part of UCI's optical recognition of handwritten digits).
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def load_digits(seed: int = 0) -> Digits:
    """The images in an order that depends on the seed, the last quarter of them for testing."""
    from sklearn.datasets import load_digits as load

    found = load()
    order = np.random.RandomState(seed).permutation(len(found.target))
    images = (found.images[order, None] / 16.0).astype(np.float32)
    labels = found.target[order].astype(np.int64)
    return Digits(images[:-_TEST], labels[:-_TEST], images[-_TEST:], labels[-_TEST:])


Parameters = dict[str, np.ndarray]
# Images and labels in; gradients by name, and the loss.
Gradients = Callable[[Parameters, np.ndarray, np.ndarray], tuple[Parameters, float]]


def train(parameters: Parameters, gradients: Gradients, digits: Digits, *, epochs: int, seed: int) -> Parameters:
    """Minimize the loss with Adam, weight decay and a rate that falls to zero; images are shifted by up to a pixel."""
    random = np.random.RandomState(seed + 1000)
    parameters = {name: value.copy() for name, value in parameters.items()}
    first = {name: np.zeros_like(value) for name, value in parameters.items()}
    second = {name: np.zeros_like(value) for name, value in parameters.items()}
    steps = epochs * -(-len(digits.train) // 32)
    for step, (images, labels) in enumerate(_batches(digits, epochs, random), start=1):
        found, _ = gradients(parameters, images, labels)
        rate = float(1e-3 * (1 + np.cos(np.pi * step / steps)))
        for name, gradient in found.items():
            first[name] = _BETA_1 * first[name] + (1 - _BETA_1) * gradient
            second[name] = _BETA_2 * second[name] + (1 - _BETA_2) * gradient * gradient
            mean, square = first[name] / (1 - _BETA_1**step), second[name] / (1 - _BETA_2**step)
            decay = 1e-2 * parameters[name] if parameters[name].ndim > 1 else 0.0
            parameters[name] -= (rate * (mean / (np.sqrt(square) + _EPSILON) + decay)).astype(np.float32)
    return parameters


def _batches(digits: Digits, epochs: int, random: np.random.RandomState) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for _ in range(epochs):
        order = random.permutation(len(digits.train))
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            padded = np.pad(digits.train[chosen], ((0, 0), (0, 0), (1, 1), (1, 1)))
            places = random.randint(0, 3, (len(chosen), 2))
            images = [image[:, i : i + 8, j : j + 8] for image, (i, j) in zip(padded, places, strict=True)]
            yield np.stack(images), digits.train_labels[chosen]


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Gradient by the logits [count, classes] of the mean cross entropy, and its value."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    chance = shifted / shifted.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = float(-np.log(chance[rows, labels] + 1e-12).mean())
    chance[rows, labels] -= 1.0
    return (chance / len(labels)).astype(np.float32), loss
