"""Hard links to external data: the installed ONNX Runtime takes them, and where it would not, that is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ncgopt.runtime import links


def test_the_installed_runtime_takes_them(tmp_path: Path):
    assert links.accepted(tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_links_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert not links.accepted(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_runtime_that_takes_them_for_an_attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A symbolic link out of the folder is what ONNX Runtime does refuse already."""
    outside = tmp_path / "outside"
    outside.write_bytes(bytes(1 << 14))
    (tmp_path / "in").mkdir()
    monkeypatch.setattr(os, "link", lambda _, link: os.symlink(outside, link))
    assert not links.accepted(tmp_path / "in")
    assert not list((tmp_path / "in").iterdir())
