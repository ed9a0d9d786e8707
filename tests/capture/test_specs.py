"""What users write of inputs and sizes, and what they call programs by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ncgopt.capture import parse, source
from ncgopt.capture.sizes import compared, parse_range, traced
from ncgopt.capture.source import find
from ncgopt.errors import InputUnreadable, Unavailable, Usage


def test_inputs():
    spec = parse("ids: i64[batch, seq, 7]=5..9")
    assert (spec.name, spec.dtype, spec.dims, spec.low, spec.high) == ("ids", "int64", ("batch", "seq", 7), 5, 9)
    drawn = spec.draw({"batch": 2, "seq": 3}, np.random.default_rng(0))
    assert drawn.shape == (2, 3, 7)
    assert drawn.dtype == np.int64
    assert set(np.unique(drawn)) == {5, 6, 7, 8, 9}
    assert parse("s:float32[]").dims == ()
    assert parse("b:bf16[2]").draw({}, np.random.default_rng(0)).dtype.name == "bfloat16"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "has not the form"),
        ("x:f32", "has not the form"),
        ("x:f31[2]", "no element type f31; there are f16"),
        ("x:f32[0]", "'0' is neither a size above 0 nor a name"),
        ("x:f32[a-b]", "'a-b' is neither"),
        ("x:f32[2]=0..1", "a range is for integers"),
        ("x:i64[2]=3..1", "the range 3..1 is empty"),
    ],
)
def test_inputs_that_are_none(text: str, says: str):
    with pytest.raises(Usage, match=says.replace("..", r"\.\.")):
        parse(text)


@pytest.mark.parametrize("text", ["seq", "seq=3", "seq=0..4", "seq=4..3", "1=2..3", "seq=a..b"])
def test_ranges_that_are_none(text: str):
    with pytest.raises(Usage, match="--range"):
        parse_range(text)


def test_sizes_to_trace_with_are_distinct_and_no_one():
    found = traced(["a", "b", "c"], {"b": (1, 4), "c": (32, None)})
    assert len(set(found.values())) == 3
    assert 1 not in found.values()
    assert found["b"] <= 4
    assert found["c"] >= 32
    with pytest.raises(Usage, match="leaves one size"):
        traced(["a"], {"a": (4, 4)})


@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize("ranges", [{}, {"a": (2, 3)}, {"b": (7, None)}])
def test_sizes_to_compare_at(count: int, ranges: dict[str, tuple[int, int | None]]):
    found = list(compared(["a", "b"], ranges, count))
    assert len(found) == count
    assert len({tuple(one.items()) for one in found}) == count
    assert found[0] == {name: ranges.get(name, (1, None))[0] for name in "ab"}
    for name, (low, high) in ranges.items():
        assert all(low <= one[name] <= (high or one[name]) for one in found)


def test_without_open_dimensions_there_is_one_binding():
    assert list(compared([], {}, 5)) == [{}]


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("nowhere.pt2", InputUnreadable, "no such file"),
        ("ncgopt_has_no_such_module:x", InputUnreadable, "cannot be imported: ModuleNotFoundError"),
        ("math:nothing", InputUnreadable, "math has nothing called nothing"),
        ("math:pi", Usage, "neither a model nor a function"),
        ("math:sqrt", Usage, "say with --framework"),
        ("nowhere.py:x", InputUnreadable, "no such file"),
    ],
)
def test_programs_that_are_none(source: str, error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch):
    for name in ("torch", "tensorflow", "jax"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    with pytest.raises(error, match=says):
        find(source, None, trust=False)


class Inherits(dict):
    """A class without a constructor of its own, as most modules without layers are."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        assert not args


@pytest.mark.parametrize(
    ("found", "made"),
    [(Inherits, True), (lambda: Inherits(), True), (lambda size=3: Inherits(), True), (lambda x: Inherits(), False),
     (lambda *x: Inherits(), False)],
)  # fmt: skip
def test_what_makes_a_program_when_it_is_called(
    found: Callable[..., object], made: bool, monkeypatch: pytest.MonkeyPatch
):
    called: list[object] = []
    monkeypatch.setattr(source, "_kind", lambda one: "jax" if isinstance(one, Inherits) else None)
    monkeypatch.setattr(source, "frontend", lambda _: SimpleNamespace(JaxProgram=called.append))
    source.of_object(found, "m:x", "jax")
    assert isinstance(called[0], Inherits) == made


def test_files_that_are_none(tmp_path: Path):
    (tmp_path / "m.pt").write_bytes(b"x")
    with pytest.raises(Usage, match="--trust"):
        find(str(tmp_path / "m.pt"), None, trust=False)
    (tmp_path / "m.txt").write_bytes(b"x")
    with pytest.raises(Usage, match=r"neither \.pt2"):
        find(str(tmp_path / "m.txt"), None, trust=False)
    with pytest.raises(InputUnreadable, match="is no SavedModel"):
        find(str(tmp_path), None, trust=False)


@pytest.mark.parametrize(("name", "framework"), [("m.pt2", "torch"), ("m.keras", "keras")])
def test_a_framework_that_is_not_installed(tmp_path: Path, name: str, framework: str, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, framework, None)
    monkeypatch.delitem(__import__("sys").modules, "ncgopt.capture.frameworks.pytorch", raising=False)
    monkeypatch.delitem(__import__("sys").modules, "ncgopt.capture.frameworks.keras", raising=False)
    with pytest.raises(Unavailable, match=rf"pip install 'ncgopt\[{framework}\]'"):
        find(str(tmp_path / name), None, trust=False)
