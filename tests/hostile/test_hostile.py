"""Malformed and hostile files: a clear line and the right code, or a verified result; bounded time and memory.

`make hostile` runs all of them, the test suite a sample.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from hostile.build import FILES, build
from hostile.measure import Outcome, notices_reading, run
from hostile.parts import Hostile

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks into /proc; pipes and links are made as on POSIX"
)

COMMAND = [sys.executable, "-c", "from ncgopt_cli.main import run; run()"]
AT_A_TIME = min(3, os.cpu_count() or 1)
SECONDS = 10.0
START = 2.5  # seconds that a start may take on a machine for which SECONDS holds; slower ones get more
MEMORY = 300_000_000
OTHER_COMMANDS = ("check", "inspect", "verify")
SAMPLE = ("external-fifo", "external-link", "sparse-shape", "functions-doubling", "cycle", "data-type-unknown", "random",
          "functions-call-each-other", "model-fifo", "opset-unknown", "empty", "text", "loop-forever", "tile",
          "names-unicode", "external-absolute")  # fmt: skip
TRIED = [one for one in FILES if one.name in SAMPLE or os.environ.get("NCGOPT_HOSTILE") == "all"]
QUICK = ("empty", "text", "random")  # end before anything is read


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> Mapping[str, Outcome]:
    """`ncgopt optimize` on every file, and the other commands on some of them, several at a time."""
    root, cache = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("cache")
    found: dict[str, Outcome] = {}

    def one(key: str, hostile: Hostile, command: list[str]) -> None:
        path = build(hostile, root / command[0])
        models = [path, path] if command[0] == "verify" else [path]
        options = hostile.options if command[0] != "inspect" else ()
        found[key] = run([*COMMAND, *command, *models, *options], path, cache)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        jobs = [pool.submit(one, hostile.name, hostile, ["optimize"]) for hostile in TRIED]
        for name in OTHER_COMMANDS:
            chosen = [hostile for hostile in FILES if hostile.name in SAMPLE[:10]]
            jobs += [pool.submit(one, f"{name} {hostile.name}", hostile, [name]) for hostile in chosen]
        for job in jobs:
            job.result()
    return found


@pytest.fixture(scope="module")
def allowed(outcomes) -> float:
    """Seconds for one file: more on a machine that is busy, as files show that end before anything is read."""
    quick = [outcomes[name].seconds for name in QUICK]
    return SECONDS * max(1.0, statistics.median(quick) / START)


def test_there_are_enough_of_them():
    assert len(FILES) >= 60
    assert len({one.name for one in FILES}) == len(FILES)


@pytest.mark.parametrize("hostile", TRIED, ids=lambda one: one.name)
def test_optimize(hostile, outcomes, allowed):
    outcome = outcomes[hostile.name]
    assert outcome.code in hostile.codes, outcome
    assert hostile.says in outcome.err
    check(outcome, allowed)


@pytest.mark.parametrize("command", OTHER_COMMANDS)
@pytest.mark.parametrize("name", SAMPLE[:10])
def test_other_commands(command, name, outcomes, allowed):
    outcome = outcomes[f"{command} {name}"]
    assert outcome.code is not None
    assert outcome.code not in (70, -11, -6), outcome
    check(outcome, allowed, errors=command == "optimize")


def check(outcome: Outcome, allowed: float, *, errors: bool = True) -> None:
    assert "Traceback" not in outcome.err
    if outcome.code and (errors or outcome.err):
        assert outcome.err.count("\n") == 1
        assert outcome.err.startswith("ncgopt: error: ")
    assert outcome.touched == []
    assert outcome.parent < MEMORY
    assert outcome.job < MEMORY
    assert outcome.processor < SECONDS
    assert outcome.seconds < allowed
    assert {name for name in outcome.files if "tmp" in name} == set()
    written = {name for name in outcome.files if name.startswith("m.opt")}
    assert bool(written) == (outcome.code == 0 and "m.opt.onnx" in outcome.out)


def test_reading_would_have_been_noticed(tmp_path):
    """Otherwise that no file outside was touched shows only that none was written."""
    if not notices_reading(tmp_path):
        pytest.skip("this file system does not note when a file is read")


def test_the_measurement_sees_what_a_process_takes(tmp_path):
    folder = tmp_path / "a" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "canary.bin").write_bytes(b"secret")
    script = (
        "x = bytearray(400_000_000); open('../canary.bin').read(); open('../new', 'w'); import time; time.sleep(0.5)"
    )
    outcome = run([sys.executable, "-c", script], folder / "m.onnx", tmp_path)
    assert outcome.parent > 400_000_000
    assert str(folder.parent / "new") in outcome.touched
    if notices_reading(tmp_path):
        assert str(folder.parent / "canary.bin") in outcome.touched
    assert os.path.exists(folder.parent / "new")
