"""How much memory there is to run models in."""

from __future__ import annotations

from pathlib import Path

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
