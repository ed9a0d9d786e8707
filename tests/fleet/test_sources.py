"""Files, folders and lists of models, and where their results go."""

import io
import sys

import pytest

from ncgopt.errors import CannotWrite, InputUnreadable, Usage
from ncgopt.fleet import beside, find, into_folder


def names(arguments, *, results_too=True):
    return [source.name for source in find([str(one) for one in arguments], results_too=results_too)]


def test_a_folder_means_all_models_below_it(models):
    (models / ".hidden").mkdir()
    (models / ".hidden" / "x.onnx").touch()
    (models / "a.opt.onnx").touch()
    assert names([models]) == ["a.onnx", "a.opt.onnx", "b.onnx", "bad.onnx", "deep/c.onnx"]
    assert "a.opt.onnx" not in names([models], results_too=False)


def test_a_list_means_its_lines(models, tmp_path, monkeypatch):
    listed = tmp_path / "list.txt"
    listed.write_text(f"# comment\n\n{models / 'b.onnx'}\n  {models / 'deep'}  \n")
    assert names([f"@{listed}"]) == ["b.onnx", "c.onnx"]
    listed.write_text(f"{models / 'b.onnx'}\r\n", encoding="utf-8-sig")  # as editors on Windows do
    assert names([f"@{listed}"]) == ["b.onnx"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{models / 'a.onnx'}\n"))
    assert names(["@-", models / "a.onnx"]) == ["a.onnx"]


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (None, InputUnreadable, "cannot be read"),
        ("# nothing\n", InputUnreadable, "empty"),
        ("@other\n", Usage, "another list"),
    ],
)
def test_lists_that_make_no_sense(content, kind, says, tmp_path):
    listed = tmp_path / "list.txt"
    if content is not None:
        listed.write_text(content)
    with pytest.raises(kind, match=says):
        find([f"@{listed}"], results_too=False)


def test_a_folder_without_models(tmp_path):
    with pytest.raises(InputUnreadable, match="is a directory, and no file"):
        find([str(tmp_path)], results_too=True)


def test_results_that_would_meet(models):
    sources = find([str(models), str(models / "deep" / "c.onnx"), str(models / "deep")], results_too=True)
    assert [source.name for source in sources].count("deep/c.onnx") == 1
    other = models / "deep" / "a.onnx"
    other.touch()
    with pytest.raises(Usage, match=r"would both be written to a\.onnx"):
        into_folder(find([str(models / "a.onnx"), str(other)], results_too=True), "out")


def test_results_never_replace_a_model_unasked(models):
    sources = find([str(models)], results_too=True)
    with pytest.raises(Usage, match="is the input itself"):
        into_folder(sources, str(models))
    with pytest.raises(CannotWrite, match="is a file"):
        into_folder(sources, str(models / "a.onnx"))
    assert beside(sources[:1], in_place=True)[0].target is None


@pytest.mark.parametrize("output", ["results", "deep/../results", "./results/"])
def test_results_inside_of_the_folder_of_models_are_no_models(output, models, monkeypatch):
    (models / "results").mkdir()
    (models / "results" / "a.onnx").touch()
    monkeypatch.chdir(models)
    sources = find(["."], results_too=True, output=output)
    assert [source.name for source in sources] == ["a.onnx", "b.onnx", "bad.onnx", "deep/c.onnx"]


@pytest.mark.parametrize("output", [".", "..", "/"])
def test_models_below_the_folder_of_results_are_models(output, models, monkeypatch):
    monkeypatch.chdir(models)
    assert len(find(["deep", "a.onnx"], results_too=True, output=output)) == 2


def test_a_result_never_replaces_another_model_of_the_run(models):
    both = [models / "a.onnx", models / "a.opt.onnx"]
    both[1].touch()
    sources = find([str(one) for one in both], results_too=False)
    with pytest.raises(Usage, match=r"the result of .*a\.onnx would replace .*a\.opt\.onnx"):
        beside(sources, in_place=False)
    assert [pair.target for pair in beside(sources, in_place=True)] == [None, None]
    (models / "deep" / "deep").mkdir()
    (models / "deep" / "deep" / "c.onnx").touch()
    with pytest.raises(Usage, match=r"would replace .*c\.onnx"):
        into_folder(find([str(models)], results_too=True), str(models / "deep"))
