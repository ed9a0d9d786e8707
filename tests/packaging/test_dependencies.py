"""Everything that is imported is declared, and everything that is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"ncgopt", "ncgopt_cli"}
PACKAGES = {"protobuf": "google"}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            # What is imported late; a computed name is one of our own modules.
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def test_dependencies_are_what_is_imported() -> None:
    imported = {
        name.split(".")[0]
        for folder in ("ncgopt", "cli")
        for path in (ROOT / folder).rglob("*.py")
        for name in _imports(path)
    }
    extras = [line for name, lines in PROJECT["optional-dependencies"].items() if name != "dev" for line in lines]
    required, optional = _modules(PROJECT["dependencies"]), _modules(extras)
    used = imported - OURS - set(sys.stdlib_module_names)
    assert required <= used
    assert used <= required | optional  # an extra may also name what another one of it needs


def _modules(lines: list[str]) -> set[str]:
    distributions = {re.split(r"[^\w-]", line)[0] for line in lines}
    return {PACKAGES.get(name, name.replace("-", "_")) for name in distributions}
