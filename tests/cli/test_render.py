"""Text that scripts read, and text that people read."""

import io
import json

import pytest

from ncgopt.report import OutputDifference
from ncgopt.to_json import to_json
from ncgopt_cli import render
from ncgopt_cli.render import Screen

HEADERS = ("pass", "nodes")
ROWS = [("fold-constants", "-12"), ("rules", "+3")]


def _lines(fancy, write):
    stream = io.StringIO()
    write(Screen(stream, fancy))
    return stream.getvalue().splitlines()


def test_plain_tables_are_columns_two_spaces_apart():
    lines = _lines(False, lambda screen: screen.table(HEADERS, ROWS))
    assert lines == ["pass            nodes", "fold-constants    -12", "rules              +3"]


def test_fancy_tables_hold_the_same(monkeypatch):
    text = "\n".join(_lines(True, lambda screen: screen.table(HEADERS, [("[bold]", "1")])))
    assert "[bold]" in text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (999_499, "999 kB"), (999_500, "1.00 MB"), (12_345_678, "12.3 MB")],
)
def test_bytes_have_units_on_a_terminal_only(count, text):
    assert Screen(io.StringIO(), True).bytes(count) == text
    assert Screen(io.StringIO(), False).bytes(count) == str(count)


def test_json_has_no_infinities():
    text = to_json(OutputDifference("y", float("inf"), float("nan"), 0.5))
    found = json.loads(text, parse_constant=pytest.fail)
    assert (found["max_abs"], found["scale"], found["limit"]) == ("inf", "nan", 0.5)


def test_no_color_means_plain(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert render.screen().fancy
    monkeypatch.setenv("NO_COLOR", "1")
    assert not render.screen().fancy
