"""Which settings are worth a try, most promising first."""

from __future__ import annotations

import dataclasses

from ncgopt.runtime.tuned import SessionSettings

_WORTHWHILE = 1.1  # parallelism from which on nodes in parallel are tried
_LETTERS = {
    "intra_op_threads": "{} threads",
    "inter_op_threads": "{} between nodes",
    "parallel": "nodes in parallel",
    "spinning": "no spinning",
    "arena": "no arena",
    "memory_pattern": "no memory pattern",
    "prepacking": "no prepacking",
    "optimization": "optimization {}",
    "flush_denormals": "denormals flushed",
}


def threading(cores: int, streams: int, parallelism: float, most: int | None = None) -> list[SessionSettings]:
    """Threads, spinning and execution mode, without the default.

    Args:
        cores: that there are.
        streams: requests at once.
        parallelism: of the model (work / span); nodes run in parallel only where there is some.
        most: threads within a node at most; None for as many as there are cores.
    """
    limit = min(cores, most or cores)
    counts = {1, limit, max(1, limit // 2), max(1, min(limit, cores // streams))}
    count = 1
    while count < limit:
        counts.add(count)
        count *= 2
    found: list[SessionSettings] = [] if most is not None else [SessionSettings(spinning=False)]
    for count in sorted(counts):  # few first: all cores is what the default takes
        found.append(SessionSettings(intra_op_threads=count))
        if count > 1:
            found.append(SessionSettings(intra_op_threads=count, spinning=False))
    if cores > 1 and streams == 1 and parallelism >= _WORTHWHILE:
        for between in sorted({2, min(4, cores)}):
            for within in sorted({1, max(1, limit // between)}):
                one = SessionSettings(within, between, parallel=True, memory_pattern=False)
                found += [one, dataclasses.replace(one, spinning=False)]
    if cores == 1:  # nobody to hand work to, so nobody to wait for
        found = [one for one in found if one.spinning and not one.parallel]
    return list(dict.fromkeys(found))


def single_changes(base: SessionSettings, *, flush_denormals: bool) -> list[SessionSettings]:
    """`base` with one other setting each: memory, weights, the graph, denormals."""
    found = [
        dataclasses.replace(base, arena=False),
        dataclasses.replace(base, memory_pattern=False),
        dataclasses.replace(base, optimization="extended"),
        dataclasses.replace(base, prepacking=False),
        dataclasses.replace(base, optimization="basic"),
    ]
    if flush_denormals:
        found.insert(0, dataclasses.replace(base, flush_denormals=True))
    return [one for one in found if one != base]


def combined(base: SessionSettings, changed: list[SessionSettings]) -> SessionSettings:
    """`base` with what each of `changed` has different; of two values of one setting the first counts."""
    differences: dict[str, object] = {}
    for one in changed:
        for name, value in vars(one).items():
            if value != getattr(base, name):
                differences.setdefault(name, value)
    return dataclasses.replace(base, **differences)  # pyright: ignore[reportArgumentType]


def text(settings: SessionSettings) -> str:
    """What is different from ONNX Runtime's defaults, in words."""
    parts = [_LETTERS[name].format(value) for name, value in settings.changes().items()]
    return ", ".join(parts) or "the defaults"
