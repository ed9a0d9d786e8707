"""What this machine is: measured times hold for one of its kind."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path


def cores() -> int:
    """Logical processors that this process may use."""
    if sys.platform.startswith("linux"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float | None:
    """Processes that wanted a processor over the last minute; None where nobody tells (Windows)."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def processor() -> str:
    """The kind of processor, as far as it says what it is."""
    if sys.platform.startswith("linux"):
        try:
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
        except OSError:
            lines = []
        kinds = ("model name", "cpu family", "model", "stepping", "flags", "Features", "CPU part")
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        told = [text.strip() for name, text in fields.items() if name.strip() in kinds]
        if told:
            return " ".join(told)
    return f"{platform.machine()} {platform.processor()}"
