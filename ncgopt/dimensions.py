"""What a model's author says of a dimension by the text that stands for its size (`dim_param`)."""

from __future__ import annotations


def is_name(text: str | None) -> bool:
    """Whether `text` names a size, so that two dimensions called the same have the same size.

    Paddle writes `?` for every size that it does not know, height and width alike; others write
    `-1` or `None`.
    """
    return bool(text) and text.lower() != "none" and any(sign.isalpha() for sign in text)
