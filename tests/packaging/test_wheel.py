"""What gets installed: every module of ours and nothing else, with `cli/` under its own name."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

PROBE = "import ncgopt_cli, ncgopt; print(ncgopt.__file__); print(ncgopt_cli.__file__)"


def _pip(*arguments: str | Path, env: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, env=env)


def test_wheel_holds_every_module_and_nothing_else(
    sources: Path, tmp_path: Path, without_dependencies: dict[str, str]
) -> None:
    subject = sources / "ncgopt" / "rules" / "linear_for_test"
    subject.mkdir()
    (subject / "__init__.py").touch()
    (subject / "deeper.py").touch()
    expected = {p.relative_to(sources).as_posix() for p in (sources / "ncgopt").rglob("*") if p.is_file()}
    expected |= {f"ncgopt_cli/{p.relative_to(sources / 'cli').as_posix()}" for p in (sources / "cli").rglob("*.py")}

    _pip("wheel", "--wheel-dir", tmp_path / "dist", sources, env=without_dependencies)

    (wheel,) = (tmp_path / "dist").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert "ncgopt/rules/linear_for_test/deeper.py" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_editable_install_sees_modules_added_later(
    sources: Path, tmp_path: Path, without_dependencies: dict[str, str]
) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    _pip("--python", python, "install", "--editable", sources, env=without_dependencies)

    paths = subprocess.run([python, "-c", PROBE], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert paths.stdout.split() == [str(sources / "ncgopt" / "__init__.py"), str(sources / "cli" / "__init__.py")]

    (sources / "cli" / "later.py").touch()
    (sources / "ncgopt" / "later").mkdir()
    (sources / "ncgopt" / "later" / "__init__.py").touch()
    probe = "import ncgopt_cli.later, ncgopt.later"
    subprocess.run([python, "-c", probe], check=True, cwd=tmp_path)
