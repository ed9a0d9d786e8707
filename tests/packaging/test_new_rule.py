"""`make rule`: what the scaffold writes is clean, is registered, and fails its tests until it is filled in."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "eliminate-scaffolded-rule"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what the scaffold touches and what its product is tested with, and start a rule there."""
    target = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", target)
    shutil.copytree(ROOT / "ncgopt", target / "ncgopt", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", target / "tests", ignore=shutil.ignore_patterns("__pycache__", "packaging"))
    done = _start(target, NAME, subject="algebra", root="Mul")
    assert done.returncode == 0, done.stderr
    return target


def _start(tree: Path, name: str, *, subject: str, root: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, tree / "tests" / "new_rule.py", name, "--subject", subject, "--root", root]
    return subprocess.run(command, capture_output=True, text=True)


def _module(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=tree)


def _written(tree: Path) -> dict[Path, str]:
    files = [*(tree / "ncgopt" / "rules").rglob("*.py"), *(tree / "tests" / "cases").glob("*.txt")]
    return {path: path.read_text() for path in files}


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_is_content(tree: Path, command: list[str]) -> None:
    done = _module(tree, "ruff", *command, "ncgopt/rules/algebra")
    assert done.returncode == 0, done.stdout


def test_pyright_is_content(tree: Path) -> None:
    new = "ncgopt/rules/algebra/eliminate_scaffolded_rule.py"
    done = _module(tree, "pyright", "--pythonpath", sys.executable, new, "ncgopt/rules/algebra/__init__.py")
    assert done.returncode == 0, done.stdout


def test_tests_of_the_new_rule_run_and_only_the_firing_case_fails(tree: Path) -> None:
    done = _module(tree, "pytest", "-q", "-rf", "tests/test_cases.py", "tests/test_registry.py", "-k", NAME)
    failed = re.findall(r"^FAILED \S+::(\w+)\[", done.stdout, re.MULTILINE)
    assert set(failed) == {"test_verdict"}, done.stdout
    assert len(failed) == 1
    assert re.search(r"[1-9]\d* passed", done.stdout)


@pytest.mark.parametrize(
    ("name", "subject", "root", "complaint"),
    [
        (NAME, "algebra", "Mul", "exists"),
        ("MulOne", "algebra", "Mul", "kebab case"),
        ("eliminate-other", "alchemy", "Mul", "no subject alchemy"),
        ("eliminate-other", "algebra", "Multiply", "no operator Multiply"),
    ],
)
def test_a_senseless_request_writes_nothing(tree: Path, name: str, subject: str, root: str, complaint: str) -> None:
    before = _written(tree)
    done = _start(tree, name, subject=subject, root=root)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert _written(tree) == before
