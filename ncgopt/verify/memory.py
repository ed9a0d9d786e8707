"""How much memory there is to run models in."""

from __future__ import annotations

from pathlib import Path

from ncgopt.settings import VerifyMode, VerifySettings

# Weights are mapped, see `mapped.py`, and repacked by kernels once ONNX Runtime optimizes; the rest is for what runs.
NEEDED = 2

# Bytes of a model from which on its weights shall not be there twice.
LARGE = 32 << 20

_MEMINFO = Path("/proc/meminfo")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_USED = (Path("/sys/fs/cgroup/memory.current"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"))


def available() -> int | None:
    """Bytes that a new process can take without swapping, a container's limit included; None where unknown."""
    lines = _read(_MEMINFO).splitlines()
    free = next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)
    rooms = [free] if free is not None else []
    for limit, used in zip(_LIMITS, _USED, strict=True):
        most, now = _read(limit).strip(), _read(used).strip()
        if most.isdecimal() and now.isdecimal():
            rooms.append(max(0, int(most) - int(now)))
    return min(rooms, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def mode_for(settings: VerifySettings, size: int) -> tuple[VerifyMode, str]:
    """Whether to run a model whole, or piece by piece; and why, where that was for us to decide.

    Args:
        settings: what was asked for, and the memory that there may be.
        size: bytes of the model.
    """
    if settings.mode != "auto":
        return settings.mode, ""
    room, needed = available(), NEEDED * size
    limit = settings.memory_limit
    if room is None or (limit is not None and limit < room):
        room = limit
    if room is None or needed <= room:
        return "whole", ""
    return "window", (
        f"compared by windows: {needed / 1e9:.1f} GB to run the model whole, of which {room / 1e9:.1f} GB are left"
    )
