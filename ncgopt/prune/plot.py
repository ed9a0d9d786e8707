"""Curves as SVG, written by hand, since that needs no plotting library; or as PNG, which does."""

from __future__ import annotations

import html
import importlib
import io
import math
from collections.abc import Sequence
from typing import Any

from ncgopt.errors import Unavailable
from ncgopt.prune.sensitivity import Sensitivity

_WIDTH, _HEIGHT, _LEFT, _TOP, _ROW = 560, 360, 70, 30, 16
_COLORS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#6a4c93", "#00798c", "#8d6a9f", "#2e4057", "#b5651d", "#5c946e")


def svg(curves: Sequence[Sensitivity], title: str) -> str:
    """Error of the output (logarithmic, relative to its variance) by share pruned, one line per layer or group."""
    errors = [max(point.error, 1e-9) for one in curves for point in one.points] or [1.0]
    low, high = math.floor(math.log10(min(errors))), math.ceil(math.log10(max(errors)))
    high = max(high, low + 1)

    def place(share: float, error: float) -> tuple[float, float]:
        y = (math.log10(max(error, 1e-9)) - low) / (high - low)
        return _LEFT + share * _WIDTH, _TOP + (1 - y) * _HEIGHT

    parts = [_text(_LEFT, 18, title, 13)]
    for power in range(low, high + 1):
        _, y = place(0, 10.0**power)
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(8, y + 4, f"1e{power}", 11))
    for tenth in range(0, 11, 2):
        x, _ = place(tenth / 10, 1)
        parts.append(_text(x - 8, _TOP + _HEIGHT + 16, f"{tenth / 10:.1f}", 11))
    parts.append(_text(_LEFT + _WIDTH / 2 - 40, _TOP + _HEIGHT + 34, "share pruned", 12))
    for index, one in enumerate(curves):
        color = _COLORS[index % len(_COLORS)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(p.share, p.error) for p in one.points))
        for x, y in (place(p.share, p.error) for p in one.points):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{color}"/>')
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        x, y = _LEFT + _WIDTH + 16, _TOP + index * _ROW
        parts.append(f'<rect x="{x}" y="{y}" width="10" height="10" fill="{color}"/>')
        parts.append(_text(x + 16, y + 9, one.name[-60:], 11))
    height = max(_TOP + _HEIGHT + 50, _TOP + len(curves) * _ROW + 20)
    body = "\n".join(parts)
    size = f'width="{_LEFT + _WIDTH + 420}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">\n{body}\n</svg>\n'


def _text(x: float, y: float, text: str, size: int) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}">{html.escape(text)}</text>'


def check_png() -> None:
    """Raise Unavailable where `png` cannot draw."""
    _figure_class()


def _figure_class() -> Any:
    try:
        return importlib.import_module("matplotlib.figure").Figure
    except ImportError as error:
        raise Unavailable(
            f"a plot as PNG needs matplotlib ({error}): pip install 'ncgopt[plot]', or write .svg, which needs nothing"
        ) from None


def png(curves: Sequence[Sensitivity], title: str) -> bytes:
    """The same picture as `svg` draws.

    Raises:
        Unavailable: matplotlib is not installed.
    """
    figure = _figure_class()(figsize=(10.5, max(4.5, 0.16 * len(curves) + 0.6)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for index, one in enumerate(curves):
        shares, errors = zip(*((point.share, max(point.error, 1e-9)) for point in one.points), strict=True)
        color = _COLORS[index % len(_COLORS)]
        axes.plot(shares, errors, color=color, marker=".", linewidth=1.3, label=one.name[-60:])
    axes.set(yscale="log", xlim=(0, 1), xlabel="share pruned", ylabel="error / variance of the output", title=title)
    axes.grid(visible=True, color="#dddddd")
    figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
