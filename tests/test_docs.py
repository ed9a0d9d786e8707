"""The generated pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ncgopt.docs import pages

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("name", list(pages()))
def test_generated_pages_are_fresh(name: str):
    assert (DOCS / name).read_text() == pages()[name].rstrip("\n") + "\n", "run `make docs`"
