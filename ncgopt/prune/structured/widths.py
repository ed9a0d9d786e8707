"""How many units of each group stay, so that widths are multiples of what the hardware likes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ncgopt.prune.channels.groups import Group


def units_to_keep(groups: Sequence[Group], shares: Sequence[float], align: int) -> list[int]:
    """Units that stay in each group.

    Each width is rounded up or down to a multiple of `align`, whichever brings the channels removed so far closer to
    what was asked for; nothing smaller than `align` remains, and groups that are not wider than it are left alone.
    """
    found: list[int] = []
    asked = removed = 0.0
    for group, share in zip(groups, shares, strict=True):
        step = align // math.gcd(align, group.unit)
        count = len(group.units)
        wanted = share * group.width
        asked += wanted
        if count <= step or share <= 0:
            found.append(count)
            asked -= wanted
            continue
        exact = round(count * (1 - share) / step, 6)  # shares that come from whole units are whole units again
        options = {max(1, math.floor(exact)) * step, max(1, math.ceil(exact)) * step}
        options = {min(option, count) for option in options}
        keep = min(options, key=lambda k: (abs(removed + (count - k) * group.unit - asked), k))
        found.append(keep)
        removed += (count - keep) * group.unit
    return found
