"""A picture of a schedule as SVG: time to the right, a row per worker, the critical path in red."""

from __future__ import annotations

import html
from collections.abc import Sequence

from ncgopt.parallel.workspan import Step, WorkSpan, schedule

_WIDTH, _LEFT, _TOP, _ROW, _BAR = 1200, 90, 46, 26, 20
_MOST_WORKERS = 64
_LABEL = 42  # pixels that a bar must have to be labelled
_LETTER = 6.2


def svg(steps: Sequence[Step], found: WorkSpan, title: str) -> str:
    """As many workers as the widest level has steps, up to 64: with these, little is left that waits for a worker."""
    workers = max(1, min(len(found.level), _MOST_WORKERS))
    slots = [slot for slot in schedule(steps, workers) if slot.end > slot.start]
    end = max((slot.end for slot in slots), default=0.0) or 1.0
    scale = _WIDTH / end
    critical = set(found.critical)
    rows = 1 + max((slot.worker for slot in slots), default=0)
    parts = [
        _text(_LEFT, 18, title, 13),
        _text(
            _LEFT,
            36,
            f"work {1000 * found.work:.4g} ms, span {1000 * found.span:.4g} ms (red), "
            f"parallelism {found.parallelism:.2f}, {rows} workers",
            11,
        ),
    ]
    parts += [_text(8, _TOP + row * _ROW + 14, f"worker {row + 1}", 11) for row in range(rows)]
    for slot in slots:
        step = steps[slot.step]
        x, width = _LEFT + slot.start * scale, (slot.end - slot.start) * scale
        y = _TOP + slot.worker * _ROW
        color = "#d1495b" if slot.step in critical else "#1b6ca8"
        told = html.escape(f"{step.operator} {step.name}: {1e6 * step.seconds:.4g} us")
        parts.append(
            f'<rect x="{x:.2f}" y="{y}" width="{max(width, 0.3):.2f}" height="{_BAR}" fill="{color}" '
            f'stroke="#fff" stroke-width="0.3"><title>{told}</title></rect>'
        )
        if width >= _LABEL:
            parts.append(_text(x + 3, y + 14, step.operator[: int(width / _LETTER)], 10, "#fff"))
    bottom = _TOP + rows * _ROW + 6
    for tenth in range(0, 11, 2):
        x = _LEFT + _WIDTH * tenth / 10
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{bottom}" stroke="#ccc" stroke-width="0.5"/>'
        )
        parts.append(_text(x - 10, bottom + 14, f"{1000 * end * tenth / 10:.3g} ms", 11))
    body = "\n".join(parts)
    size = f'width="{_LEFT + _WIDTH + 40}" height="{bottom + 24}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">\n{body}\n</svg>\n'


def _text(x: float, y: float, text: str, size: int, color: str = "#000") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}">{html.escape(text)}</text>'
