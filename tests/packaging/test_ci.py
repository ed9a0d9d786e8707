"""What the documentation offers for pipelines does there what it says: the action's and GitLab's steps are executed."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
import yaml

from ncgopt_cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


def _inputs(**given: str) -> dict[str, str]:
    """Environment of the steps, as the runner fills it in."""
    values = {name: one["default"] for name, one in ACTION["inputs"].items()} | given
    found: dict[str, str] = {}
    for step in ACTION["runs"]["steps"]:
        for name, text in step.get("env", {}).items():
            found[name] = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: values[match[1]], text)
    return found


def _run(script: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.skipif(sys.platform == "win32", reason="lends packages by a path of this platform")
def test_steps_of_the_action_and_of_gitlab(sources: Path, tmp_path: Path, without_dependencies: dict[str, str]) -> None:
    lent = tmp_path / "lent"
    lent.mkdir()
    (lent / "sitecustomize.py").write_text(f"import sys\nsys.path.append({sysconfig.get_path('purelib')!r})\n")
    work = tmp_path / "work"
    (work / "models" / "more of them").mkdir(parents=True)
    shutil.copy(ROOT / "models" / "cnn.onnx", work / "models" / "more of them" / "bad one.onnx")
    shutil.copy(ROOT / "models" / "dense.onnx", work / "models" / "good.onnx")
    shutil.copy(ROOT / "models" / "dense.onnx", work / "models" / "also.onnx")
    runner = {name: str(tmp_path / name) for name in ("RUNNER_TEMP", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    environment = {**without_dependencies, **runner, "PYTHONPATH": str(lent), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    install, check = (step["run"] for step in ACTION["runs"]["steps"])

    given = _inputs(python=sys.executable, sarif="found.sarif") | {"NCGOPT_SOURCE": str(sources)}
    installed = _run(install, work, environment | given)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    environment["PATH"] = os.pathsep.join([Path(runner["GITHUB_PATH"]).read_text().strip(), environment["PATH"]])

    checked = _run(check, work, environment | given)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert "::warning file=models/more of them/bad one.onnx,title=NCG001 rewrite::" in checked.stdout
    assert "good.onnx" not in checked.stdout
    summary = Path(runner["GITHUB_STEP_SUMMARY"]).read_text()
    assert "run `ncgopt optimize --in-place 'models/more of them/bad one.onnx'`" in summary
    assert json.loads((work / "found.sarif").read_text())["runs"][0]["results"]

    fine = _run(check, work, environment | _inputs(models="models/*.onnx none/*.onnx"))
    assert fine.returncode == 0, fine.stdout + fine.stderr
    nothing = _run(check, work, environment | _inputs(models="none/*.onnx"))
    assert (nothing.returncode, "no models match" in nothing.stdout) == (0, True)

    (text,) = (
        one
        for one in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
        if "junit" in one
    )
    for line in yaml.safe_load(text)["ncgopt"]["script"]:
        assert _run(line, work, environment).returncode == 0
    assert len(ElementTree.parse(work / "ncgopt.xml").getroot()) == 2


def _options(command: str) -> set[str]:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    return {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_commands_in_the_docs_have_the_options_that_they_name(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    spans = re.findall(r"`(ncgopt [^`\n]+)`", text) + re.findall(
        r"^ +(?:- |\$ |exec )?(ncgopt [^\n]+)$", text, re.MULTILINE
    )
    for span in spans:
        words = shlex.split(span.split(" #")[0].split("  ")[0].replace("\\|", "|").rstrip("\\"))
        if len(words) < 2 or words[1] not in COMMANDS:
            continue
        named = {word.split("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
        assert named <= _options(words[1]), span


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    code = "import sys; from ncgopt_cli.main import run; sys.argv = ['ncgopt']; run()"

    def complete(words: str, number: int) -> subprocess.CompletedProcess[str]:
        last = words.split(" ")[-1] if shell == "fish" else str(number)
        asked = {"_NCGOPT_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": last}
        return subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True)

    commands = complete("ncgopt che", 1)
    assert commands.returncode == 0, commands.stderr
    assert "check" in commands.stdout
    assert "inspect" not in commands.stdout
    assert "--baseline" in complete("ncgopt check --ba", 2).stdout
    assert "sarif" in complete("ncgopt check --format s", 3).stdout
    script = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "_NCGOPT_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
    )
    if shell != "bash" or shutil.which("bash"):
        assert (script.returncode, "_NCGOPT_COMPLETE" in script.stdout) == (0, True), script.stderr
