"""The settings file: where it is found, what it may say, and how it complains."""

from pathlib import Path

import pytest

from ncgopt import configuration
from ncgopt.errors import InputUnreadable, Usage
from ncgopt.settings import Settings, Target, VerifySettings


def _load(folder: Path, text: str, name: str = "ncgopt.toml"):
    (folder / name).write_text(text)
    return configuration.load(start=folder).settings


def test_every_kind_of_value(tmp_path):
    found = _load(
        tmp_path,
        """
        preset = "size"
        passes = ["rules"]
        skip = ["a*", "b"]
        target = "onnxruntime"
        exact = true
        max-cycles = 3
        external-data = "never"
        bind = {batch = 1, "some-dim" = 2}
        [options.fold-constants]
        max-growth = 10
        [verification]
        draws = 4
        timeout = 60
        feeds = ["data/x.npz"]
        bind = {length = 5}
        """,
    )
    assert found == Settings(
        preset="size",
        passes=("rules",),
        skip=("a*", "b"),
        target=Target.ONNXRUNTIME,
        exact=True,
        max_cycles=3,
        external_data="never",
        bind={"batch": 1, "some-dim": 2},
        options={"fold-constants": {"max_growth": 10}},
        verification=VerifySettings(draws=4, timeout=60.0, feeds=(tmp_path / "data/x.npz",), bind={"length": 5}),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("presett = 1", ["'presett'", "did you mean preset"]),
        ("[verification]\ndraw = 1", ["'verification.draw'", "draws"]),
        ("exact = 1", ["exact", "true or false"]),
        ("max-cycles = true", ["max-cycles", "whole number"]),
        ("max-cycles = 1.5", ["max-cycles", "whole number"]),
        ("skip = 'a'", ["skip", "a list"]),
        ("skip = [1]", ["skip[0]", "a string"]),
        ("target = 'cuda'", ["target", "onnx, onnxruntime"]),
        ("external-data = 'maybe'", ["external-data", "auto, always, never"]),
        ("bind = {batch = 'x'}", ["bind.batch", "whole number"]),
        ("verification = 3", ["verification", "a table"]),
        ("options = {a = 1}", ["options.a", "a table"]),
    ],
)
def test_mistakes_name_file_and_key(text, says, tmp_path):
    with pytest.raises(Usage) as caught:
        _load(tmp_path, text)
    assert str(tmp_path / "ncgopt.toml") in str(caught.value)
    assert all(part in str(caught.value) for part in says)


def test_a_file_that_is_no_toml(tmp_path):
    with pytest.raises(InputUnreadable, match="is not TOML"):
        _load(tmp_path, "preset = ")


def test_the_nearest_file_above_counts(tmp_path):
    (tmp_path / "ncgopt.toml").write_text('preset = "size"')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert configuration.load(start=inner).path == tmp_path / "ncgopt.toml"
    (tmp_path / "a" / "ncgopt.toml").write_text('preset = "none"')
    assert configuration.load(start=inner).settings.preset == "none"


def test_the_search_ends_at_the_root_of_a_repository(tmp_path):
    (tmp_path / "ncgopt.toml").write_text('preset = "size"')
    inner = tmp_path / "repository" / "models"
    inner.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    assert configuration.load(start=inner).path is None


def test_pyproject_counts_if_it_has_our_table(tmp_path):
    inner = tmp_path / "package"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.other]\n")
    (tmp_path / "pyproject.toml").write_text('[tool.ncgopt]\npreset = "size"\n')
    assert configuration.load(start=inner).settings.preset == "size"
    (inner / "pyproject.toml").write_text("this is no toml")
    assert configuration.load(start=inner).settings.preset == "size"


def test_ncgopt_toml_comes_before_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.ncgopt]\npreset = "size"\n')
    assert _load(tmp_path, 'preset = "none"').preset == "none"


def test_a_named_pyproject_must_have_our_table(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(Usage, match=r"tool\.ncgopt"):
        configuration.load(tmp_path / "pyproject.toml")


def test_the_documented_example_is_read(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    found = _load(tmp_path, page.split("```toml\n")[1].split("```")[0])
    assert found.verification.feeds == (tmp_path / "data/typical.npz",)
    assert found.options == {"fold-constants": {"max_growth": 65536}}
