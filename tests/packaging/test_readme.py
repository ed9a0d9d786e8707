"""What the README says about exit codes, commands, options, settings and tests is what the program does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ncgopt import configuration
from ncgopt.errors import ExitCode
from ncgopt.settings import Target
from ncgopt_cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CODE = "import sys; from ncgopt_cli.main import invoke; sys.exit(invoke(sys.argv[1:]))"


def _section(title: str) -> str:
    found = re.search(rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def _ncgopt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True)


def test_exit_codes() -> None:
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", _section("Exit codes"), re.MULTILINE)]
    assert codes == [code.value for code in ExitCode]


def test_commands() -> None:
    commands = re.findall(r"^\| `ncgopt (\w+)", _section("Use"), re.MULTILINE)
    assert sorted(set(commands)) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = _ncgopt(command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: ncgopt {command}")


def test_options_of_optimize() -> None:
    rows = re.findall(r"^\| (`-.*?) \|(?!\|)", _section("Use").replace(r"\|", "/"), re.MULTILINE)
    named = set(re.findall(r"`(--?[\w-]+)", " ".join(rows)))
    assert len(named) > 15
    # --debug belongs to the program, not to one command.
    offered = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", _ncgopt("optimize", "--help").stdout)) | {"--debug"}
    assert named <= offered


def test_configuration(tmp_path: Path) -> None:
    (tmp_path / "ncgopt.toml").write_text(re.findall(r"```toml\n(.*?)```", README, re.DOTALL)[0])
    settings = configuration.load(start=tmp_path).settings
    assert settings.target is Target.ONNXRUNTIME
    assert settings.verification.bind == {"batch": 2}
    assert settings.options == {"fold-constants": {"max_growth": 65536}}


def test_ci_runs_the_command_that_the_readme_names() -> None:
    (command,) = re.findall(r"^    (make test)\s+# what CI runs$", _section("Development"), re.MULTILINE)
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == command


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "models/README.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    targets = re.findall(r"\[[^\]\n]+\]\((?!https?:)([^)#\s\"]+)\)", path.read_text())
    assert [t for t in targets if not (path.parent / t).exists()] == []
