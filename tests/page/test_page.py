"""The page of a run: whole, small, closed to the network, and alive in a browser where there is one."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

import ncgopt
from ncgopt.page.build import page
from ncgopt.page.drawing import drawings
from ncgopt.page.report import original, report_page
from ncgopt.settings import Settings

MODELS = Path(__file__).parents[2] / "models"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _data(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> str:
    """The page of one model."""
    path = tmp_path_factory.mktemp("page") / "cnn.onnx"
    shutil.copy(MODELS / "cnn.onnx", path)
    before = original(path, Settings(), in_place=True)
    report = ncgopt.optimize(path, Settings(), in_place=True)
    return report_page(report, before, Settings())


def test_it_holds_both_graphs_and_what_happened(shown):
    data = _data(shown)
    assert data["report"]["status"] == "written"
    before, after = data["before"]["nodes"], data["after"]["nodes"]
    assert len(before) > len(after)
    assert {"BatchNormalization"} <= {node[0] for node in before if node[4] != "same"}
    assert any(line.startswith("! fold-conv-batch-norm") for node in before for line in node[5])
    assert all(edge[0] < len(before) and edge[1] < len(before) for edge in data["before"]["edges"])


def test_it_asks_nobody_for_anything(shown):
    assert "default-src 'none'" in shown
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", shown)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", shown)


def test_names_in_models_are_text_and_nothing_else():
    text = page("<b>", {"kind": "report", "x": "</script><script>alert(1)</script>{{script}}"})
    assert "<title>&lt;b&gt;" in text
    assert text.count("<script") == 2
    assert _data(text)["x"] == "</script><script>alert(1)</script>{{script}}"


def test_two_thousand_nodes_stay_small():
    body = " ".join(f"v{k} = Relu(v{k - 1})" for k in range(1, 2001))
    head = '<ir_version: 10, opset_import: ["" : 21]>'
    model = onnx.parser.parse_model(f"{head} g (float[N] v0) => (float[N] v2000) {{ {body} }}")
    one, two = ir.from_proto(model), ir.from_proto(model)
    before, after = drawings(one, two)
    assert {node[4] for node in before["nodes"]} == {"same"}
    assert len(page("x", {"kind": "report", "before": before, "after": after})) < 3_000_000


_TRY = """
<script>
addEventListener("load", () => setTimeout(() => {
  const graph = window.ncgopt.graphs[0], canvas = graph.canvas, before = [graph.left, graph.scale];
  const send = (type, x, y) => canvas.dispatchEvent(Object.assign(new PointerEvent(type, { pointerId: 1, bubbles: true, clientX: canvas.getBoundingClientRect().left + x, clientY: canvas.getBoundingClientRect().top + y })));
  canvas.setPointerCapture = () => {};
  send("pointerdown", 50, 50); send("pointermove", 90, 50); send("pointerup", 90, 50);
  const panned = graph.left - before[0];
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -200, cancelable: true }));
  const ink = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value);
  const found = { panned, zoomed: graph.scale > before[1], ink, errors: window.failures };
  document.body.append(Object.assign(document.createElement("pre"), { id: "tried", textContent: JSON.stringify(found) }));
}, 300));
</script>
"""
_WATCH = """<script>window.failures = [];
addEventListener("error", (event) => failures.push(event.message));
addEventListener("securitypolicyviolation", (event) => failures.push(event.blockedURI));</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
def test_in_a_browser(shown, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(shown.replace("<main", f"{_WATCH}<main").replace("</body>", f"{_TRY}</body>"), encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    flags += ("--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}")
    command = [CHROMIUM, *flags, "--virtual-time-budget=5000", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    tried = json.loads(re.search(r'<pre id="tried">(.*?)</pre>', done.stdout)[1])
    assert tried == {"panned": 40, "zoomed": True, "ink": True, "errors": []}
    for title in ("Graph", "Pass by pass", "Verification", "What was refused, and why"):
        assert f"<h2>{title}</h2>" in done.stdout
