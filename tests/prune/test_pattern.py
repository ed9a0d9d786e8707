import numpy as np
import pytest

from ncgopt.errors import Usage
from ncgopt.prune.pattern import Pattern
from ncgopt.prune.unstructured import obs

R = np.random.RandomState(0)
X = R.randn(400, 32) @ R.randn(32, 32)
GRAM = X.T @ X / 400
W = R.randn(16, 32)


def error(pruned):
    return np.linalg.norm(X @ (W - pruned).T) / np.linalg.norm(X @ W.T)


def magnitude(pattern, sparsity):
    return np.where(pattern.mask(np.abs(W), sparsity), 0, W)


def surgeon(gram, pattern, sparsity):
    stable = obs.regular(gram, 0.01)
    return obs.prune(W @ stable, stable, pattern, sparsity)


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.9])
def test_unstructured_meets_the_share(sparsity):
    mask = Pattern().mask(np.abs(W), sparsity)
    assert mask.sum() == round(W.size * sparsity)


@pytest.mark.parametrize(("text", "kept", "of"), [("2:4", 2, 4), ("4:8", 4, 8), ("1:16", 1, 16)])
def test_n_of_m(text, kept, of):
    mask = Pattern.parse(text).mask(np.abs(W), 0.0)
    assert ((~mask).reshape(16, -1, of).sum(axis=2) == kept).all()


def test_blocks_go_as_a_whole():
    mask = Pattern.parse("block:2x4").mask(np.abs(W), 0.5)
    blocks = mask.reshape(8, 2, 8, 4).transpose(0, 2, 1, 3).reshape(-1, 8)
    assert set(blocks.sum(axis=1).tolist()) == {0, 8}
    assert mask.mean() == 0.5


@pytest.mark.parametrize("text", ["4:2", "4:4", "0:4", "2", "block:1x1", "block:x", "", "none"])
def test_patterns_that_mean_nothing(text):
    with pytest.raises(Usage):
        Pattern.parse(text)


def test_a_pattern_that_does_not_divide():
    assert not Pattern.parse("2:4").fits(4, 6)
    assert not Pattern.parse("block:2x4").fits(3, 8)
    assert Pattern.parse("2:4").fits(3, 8)


@pytest.mark.parametrize("text", ["unstructured", "2:4", "block:1x4", "block:2x2"])
def test_surgeon_is_better_than_magnitude(text):
    pattern = Pattern.parse(text)
    found = surgeon(GRAM, pattern, 0.5)
    assert (found == 0).sum() == W.size // 2
    assert error(found) < error(magnitude(pattern, 0.5))


def test_surgeon_chooses_better_than_by_what_each_weight_alone_costs():
    gram = obs.regular(GRAM, 0.01)
    alone = Pattern().mask(W**2 / np.diag(np.linalg.inv(gram)), 0.8)
    assert error(surgeon(GRAM, Pattern(), 0.8)) < 0.9 * error(obs.solve(W @ gram, gram, alone, W))


def test_what_stays_is_the_least_squares_solution():
    mask = Pattern().mask(np.abs(W), 0.5)
    found = obs.solve(W @ GRAM, GRAM, mask, W)
    for row in range(len(W)):
        stays = ~mask[row]
        best, *_ = np.linalg.lstsq(X[:, stays], X @ W[row], rcond=None)
        least, own = (np.square(X @ W[row] - X[:, stays] @ v).sum() for v in (best, found[row, stays]))
        assert own <= 1.001 * least
        assert not found[row, mask[row]].any()


def test_inputs_that_are_always_zero():
    gram = GRAM.copy()
    gram[5] = gram[:, 5] = 0
    assert np.isfinite(surgeon(gram, Pattern(), 0.5)).all()
