"""Layers one after the other, each making up for those before."""

import numpy as np
import pytest
from prune.small import MLP, RESIDUAL, build, head

from ncgopt import facts
from ncgopt import model as models
from ncgopt.prune.layers import find_layers
from ncgopt.prune.run import prune
from ncgopt.prune.settings import PruneSettings
from ncgopt.prune.unstructured.order import stages


def ordered(proto, tmp_path, most):
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    model = models.load(tmp_path / "m.onnx").model
    facts.survey(model)
    return stages(model.graph, find_layers(model), most)


BRANCHES = build(
    head("float[N, 8] x", "float[N, 4] y")
    + "{ a = MatMul(x, w1)  b = MatMul(x, w2)  c = Mul(a, b)  d = MatMul(c, w3)  e = Add(d, a)  y = MatMul(e, w4) }",
    w1=(8, 8),
    w2=(8, 8),
    w3=(8, 8),
    w4=(8, 4),
)


def test_layers_that_do_not_feed_each_other_share_a_stage(tmp_path):
    found = ordered(BRANCHES, tmp_path, 9)
    assert [stage.layers for stage in found] == [(0, 1), (2,), (3,)]
    assert all(stage.first == set(stage.layers) for stage in found)


def test_too_few_stages_are_shared_by_neighbours(tmp_path):
    found = ordered(BRANCHES, tmp_path, 2)
    assert [stage.layers for stage in found] == [(0, 1), (2, 3)]
    assert [sorted(stage.first) for stage in found] == [[0, 1], [2]]


@pytest.mark.parametrize("proto", [MLP, RESIDUAL], ids=["mlp", "residual"])
def test_layer_by_layer_is_closer_to_the_original_than_all_at_once(proto, tmp_path):
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    shape = [dim.dim_value or 256 for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    errors = []
    for schedule in ("sequential", "constant"):
        asked = PruneSettings(
            data=str(tmp_path / "data.npz"), sparsity=0.7, schedule=schedule, metric="mse", measure_seconds=0
        )
        errors.append(prune(tmp_path / "m.onnx", asked, dry_run=True).quality.drop)
    assert errors[0] < 0.9 * errors[1]


def test_steps_matter_only_where_layers_share_a_stage(tmp_path):
    (tmp_path / "m.onnx").write_bytes(MLP.SerializeToString())
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).standard_normal((64, 12)).astype(np.float32))
    reports = {}
    for steps, most in ((1, 12), (3, 12), (1, 1), (3, 1)):
        asked = PruneSettings(
            data=str(tmp_path / "data.npz"),
            schedule="polynomial",
            steps=steps,
            stages=most,
            metric="mse",
            measure_seconds=0,
        )
        reports[steps, most] = prune(tmp_path / "m.onnx", asked, dry_run=True)
    assert reports[3, 12].quality.drop == pytest.approx(reports[1, 12].quality.drop)
    assert any("leave no trace" in line for line in reports[3, 12].notes)
    assert reports[3, 1].quality.drop != pytest.approx(reports[1, 1].quality.drop)
    assert not reports[3, 1].notes
