"""A package that is installed adds rules, passes and checks; an unsound rule of it is found and named."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import onnx
import pytest

from ncgopt import plugins
from ncgopt.errors import Unavailable

EXAMPLE = Path(__file__).parent / "example"
CODE = "import sys; from ncgopt_cli.main import invoke; sys.exit(invoke(sys.argv[1:]))"
MODEL = """<ir_version: 10, opset_import: ["" : 21]> g (float[N] x) => (float[N] y, float[N] z) {
    a = Ceil(x) b = Ceil(a) y = Sqrt(b) c = Floor(x) z = Sin(c) dead = Neg(x)
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder that the example is installed in."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "example"
    for path in (path for path in EXAMPLE.rglob("*") if path.suffix in (".py", ".toml")):
        target = source / path.relative_to(EXAMPLE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    environment = {**os.environ, "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, source]
    subprocess.run(command, check=True, env=environment)
    return folder


@pytest.fixture
def run(site, tmp_path):
    """Run one command line where the example is installed."""
    model = onnx.parser.parse_model(MODEL)
    onnx.save(model, tmp_path / "m.onnx")

    def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        whole = {**os.environ, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
        return subprocess.run(
            [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, env=whole, cwd=tmp_path
        )

    return command


def test_a_rule_fires_and_an_unsound_one_is_named(run, tmp_path):
    done = run(
        "optimize", "m.onnx", "-o", "out.onnx", "--report", "report.json", "--passes", "default,example-drop-dead-neg"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "example-eliminate-double-ceil" in {one["source"] for one in report["rewrites"]}
    assert {one["source"] for one in report["rolled_back"]} == {"example-eliminate-floor"}
    assert "ROLLED BACK" in done.stdout
    assert "example-eliminate-floor at" in done.stdout
    operators = sorted(node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node)
    assert operators == ["Ceil", "Floor", "Sin", "Sqrt"]


def test_checks_and_lists(run):
    found = run("check", "m.onnx")
    assert found.returncode == 1
    assert "no-producer: the producer's name is empty [EXA001]" in found.stdout
    assert "example-eliminate-double-ceil" in found.stdout
    assert "EXA001" not in run("check", "m.onnx", "--select", "NCG").stdout
    listed = run("passes").stdout
    assert "example-eliminate-floor" in listed
    assert "example-drop-dead-neg" in listed
    assert "ncgopt_example" in run("explain", "example-eliminate-double-ceil").stdout


def test_they_can_be_left_out(run):
    assert "EXA001" not in run("check", "m.onnx", NCGOPT_NO_PLUGINS="1").stdout
    assert "example-" not in run("passes", NCGOPT_NO_PLUGINS="1").stdout


@pytest.mark.parametrize(
    ("group", "value", "said"),
    [
        (plugins.RULES, "no_such_package:RULES", "ModuleNotFoundError"),
        (plugins.RULES, "math:pi", "is no rule"),
        (plugins.RULES, "ncgopt.rules.algebra:RULES", "there is another rule called"),
        (plugins.PASSES, "ncgopt.passes:DropDeadNodes", "there is another pass"),
        (plugins.CHECKS, "ncgopt.lint.checks:CHECKS", "not NCG"),
    ],
)
def test_what_cannot_be_used_is_said(monkeypatch, group, value, said):
    from ncgopt.lint.catalog import checks
    from ncgopt.pipeline.catalog import catalog

    entry = EntryPoint("bad", value, group)
    monkeypatch.setattr(plugins, "_entries", lambda wanted: (entry,) if wanted == group else ())
    plugins._loaded.cache_clear()
    with pytest.raises(Unavailable, match=f"plugin bad .*{said}.*NCGOPT_NO_PLUGINS"):
        (checks if group == plugins.CHECKS else catalog)()
    plugins._loaded.cache_clear()


def test_a_package_that_raises_is_left_to_loading(monkeypatch, tmp_path):
    (tmp_path / "ncgopt_bad").mkdir()
    (tmp_path / "ncgopt_bad" / "__init__.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("bad", "ncgopt_bad.rules:RULES", plugins.RULES)
    monkeypatch.setattr(plugins, "_entries", lambda wanted: (entry,) if wanted == plugins.RULES else ())
    plugins._loaded.cache_clear()
    assert len(plugins.state()) == 1
    with pytest.raises(Unavailable, match=r"plugin bad .*ZeroDivisionError"):
        plugins.rules(())
    plugins._loaded.cache_clear()
