"""Nothing is registered without a file and cases, and no file is left unregistered."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from case_file import CASES, all_cases

import ncgopt
from ncgopt.passes import PASSES
from ncgopt.rewrite import Rule
from ncgopt.rules import RULES

ROOT = Path(ncgopt.__file__).parent
BUILT_BY_HAND = {"__init__", "base", "apply_rules"}
NAMED = [*RULES, *(cls for cls in PASSES)]


def pascal(name: str) -> str:
    return "".join(part.capitalize() for part in re.split("[-_]", name))


def class_of(entry) -> type:
    return entry if isinstance(entry, type) else type(entry)


def test_every_file_is_registered():
    files = {p.stem for p in (ROOT / "rules").glob("*/*.py")} | {p.stem for p in (ROOT / "passes").glob("*.py")}
    public = {stem for stem in files - BUILT_BY_HAND if not stem.startswith("_")}
    assert public == {entry.name.replace("-", "_") for entry in NAMED}


@pytest.mark.parametrize("entry", NAMED, ids=lambda e: e.name)
def test_one_stem(entry):
    cls = class_of(entry)
    assert cls.__name__ == pascal(entry.name)
    module = importlib.import_module(cls.__module__)
    assert module.__name__.rsplit(".", 1)[-1] == entry.name.replace("-", "_")


def test_names_are_unique():
    names = [entry.name for entry in NAMED]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("entry", NAMED, ids=lambda e: e.name)
def test_cases_cover_the_entry(entry):
    cases = [c for c in all_cases() if c.subject == entry.name]
    assert any(c.verdict == "fires" for c in cases), "no firing case"
    guards = {g.name for g in (*entry.requires, *entry.pays)} if isinstance(entry, Rule) else set()
    shown = {c.guard for c in cases if c.verdict == "refuses"}
    assert guards <= shown, f"guards without a refusing case: {guards - shown}"


def test_every_case_file_belongs_to_something():
    assert {p.stem for p in CASES.glob("*.txt")} <= {e.name.replace("-", "_") for e in NAMED}
