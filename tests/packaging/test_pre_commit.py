"""The pre-commit hooks, run by pre-commit itself on a git repository that holds models.

pre-commit installs ncgopt from its repository. The dependencies are lent from the environment of the tests: downloading
them would take most of the time, and that all of them are declared is shown by `test_dependencies.py`.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "models"


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false")
    command = ["git", "-C", folder, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit_all(folder: Path) -> None:
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "Everything")


@pytest.fixture
def environment(tmp_path: Path, without_dependencies: dict[str, str]) -> dict[str, str]:
    lent = tmp_path / "lent"
    lent.mkdir()
    # Python runs this at every start. Appended, so that ncgopt itself is the one that pre-commit installed.
    (lent / "sitecustomize.py").write_text(f"import sys\nsys.path.append({sysconfig.get_path('purelib')!r})\n")
    cache = {"PRE_COMMIT_HOME": str(tmp_path / "cache"), "PRE_COMMIT_COLOR": "never"}
    return {**without_dependencies, **cache, "PYTHONPATH": str(lent)}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a user's repository with three models, of which two can be optimized, and a file that is no model."""
    folder = tmp_path / "user"
    (folder / "nested").mkdir(parents=True)
    shutil.copy(MODELS / "dense_linear.onnx", folder / "linear.onnx")
    shutil.copy(MODELS / "cnn.onnx", folder / "nested" / "cnn.onnx")
    shutil.copy(MODELS / "dense.onnx", folder / "good.onnx")
    (folder / "notes.txt").write_text("no model\n")
    _git(folder, "init", "--quiet")
    _commit_all(folder)
    return folder


def _pre_commit(folder: Path, environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pre_commit", *arguments, "--all-files", "--verbose"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def test_hooks_find_and_mend_and_then_are_content(sources: Path, repository: Path, environment: dict[str, str]) -> None:
    _git(sources, "init", "--quiet")
    _commit_all(sources)
    original = {path: path.read_bytes() for path in repository.rglob("*.onnx")}

    first = _pre_commit(repository, environment, "try-repo", sources)
    assert first.returncode == 1, first.stdout + first.stderr
    check, optimize = first.stdout.split("hook id: ncgopt-optimize")
    assert "exit code: 1" in check
    assert "files were modified" not in check
    assert "linear.onnx: rewrite: merge-linear-layers" in check
    assert "cnn.onnx: rewrite: fold-conv-batch-norm" in check
    assert "run `ncgopt optimize --in-place linear.onnx`: " in check
    assert "good.onnx: ok" in check
    assert "notes.txt" not in first.stdout
    assert "files were modified by this hook" in optimize
    optimized = {path: path.read_bytes() for path in repository.rglob("*.onnx")}
    assert optimized.keys() == original.keys()
    assert {path.name for path in original if len(optimized[path]) < len(original[path])} == {"linear.onnx", "cnn.onnx"}

    # The second time as a user has it for good: from a configuration file.
    revision = _git(sources, "rev-parse", "HEAD")
    hooks = "[{id: ncgopt-check}, {id: ncgopt-optimize}]"
    (repository / ".pre-commit-config.yaml").write_text(
        f"repos: [{{repo: '{sources.as_posix()}', rev: {revision}, hooks: {hooks}}}]\n"
    )
    _commit_all(repository)
    second = _pre_commit(repository, environment, "run")
    assert second.returncode == 0, second.stdout + second.stderr
    assert second.stdout.count("Passed") == 2
    assert {path: path.read_bytes() for path in optimized} == optimized

    # One bad model of three: the commit fails, with a line that says what to run.
    bad = repository / "linear.onnx"
    bad.write_bytes(original[bad])
    _git(repository, "add", "linear.onnx")
    third = _pre_commit(repository, environment, "run", "ncgopt-check")
    assert third.returncode == 1, third.stdout + third.stderr
    assert "run `ncgopt optimize --in-place linear.onnx`: " in third.stdout
    assert third.stdout.count(": ok") == 2
