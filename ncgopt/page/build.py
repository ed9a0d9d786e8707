"""From data to a page: everything in one file, nothing fetched, nothing run but what is in it."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import cast

from ncgopt.to_json import to_json

_PARTS = files("ncgopt.page")


def page(title: str, data: Mapping[str, object]) -> str:
    """The page that shows `data`, see `page.js` for what it looks for.

    A policy in the page itself forbids every connection, so that a name in a model, which may be anything, can at most
    look odd.
    """
    plain = cast("object", json.loads(to_json(data)))
    text = json.dumps(plain, separators=(",", ":")).replace("<", "\\u003c")
    parts = {name: (_PARTS / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", "page.js")}
    whole = parts["page.html"].replace("{{title}}", html.escape(title))
    for mark, part in (("{{style}}", parts["page.css"]), ("{{script}}", parts["page.js"]), ("{{data}}", text)):
        before, _, after = whole.partition(mark)
        whole = before + part + after
    return whole
