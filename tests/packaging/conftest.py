"""What the packaging tests share: a clean copy of what ships, and an environment for pip that is quick."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("pyproject.toml", "setup.py", "README.md", "LICENSE", ".pre-commit-hooks.yaml", "ncgopt", "cli")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Copy what ships: building in the tree itself would leave files there, and pick up stale ones."""
    target = tmp_path / "sources"
    target.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="session")
def without_dependencies() -> dict[str, str]:
    """Environment variables under which pip installs what it is asked for and nothing else."""
    return {**os.environ, "PIP_NO_DEPS": "1", "PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
