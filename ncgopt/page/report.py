"""The page of one run of `optimize`."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from ncgopt import facts
from ncgopt.cost import graph_cost
from ncgopt.errors import NcgoptError
from ncgopt.page.build import page
from ncgopt.page.drawing import drawings, read
from ncgopt.pipeline import catalog
from ncgopt.report import Report
from ncgopt.settings import Settings


def original(path: Path, settings: Settings, *, in_place: bool) -> ir.Model | None:
    """The model as it is before the run; None where it cannot be read, which the run will say.

    Where the run replaces it, weights are read at once: they are gone afterwards.
    """
    try:
        return read(path, trust_links=settings.trust_links, in_memory=in_place)
    except NcgoptError:
        return None


def report_page(report: Report, before: ir.Model | None, settings: Settings) -> str:
    """The page; drawings are there where both models are, which a failed or dry run does not have.

    Raises:
        InputUnreadable: the result was written, and cannot be read again.
    """
    data: dict[str, object] = {"kind": "report", "report": report, "guards": _guards(report)}
    if before is not None and report.output is not None and report.status == "written":
        after = read(Path(report.output), trust_links=settings.trust_links)
        touched = {rewrite.where: rewrite.source for rewrite in reversed(report.rewrites)}
        for model in (before, after):
            facts.survey(model)
        data["before"], data["after"] = drawings(before, after, touched=touched)
        data["flops"] = _flops(before, after, report, settings)
    return page(f"{Path(report.model).name}: ncgopt", data)


def _flops(before: ir.Model, after: ir.Model, report: Report, settings: Settings) -> dict[str, object] | None:
    """FLOPs of both at the sizes of the last verification run; None where too little is known to compare them."""
    runs = report.verification.runs
    bound = {**dict(settings.bind), **(dict(runs[-1].binding) if runs else {})}
    old, new = graph_cost(before, bound), graph_cost(after, bound)
    if old.unknown != new.unknown:
        return None
    at = f" at {', '.join(f'{name}={size}' for name, size in bound.items())}" if bound else ""
    return {"before": old.flops, "after": new.flops, "at": at + (", as far as known" if new.unknown else "")}


def _guards(report: Report) -> dict[str, str]:
    """Why the guards that refused are there: what goes wrong without them."""
    wanted = {(refusal.rule, refusal.guard) for refusal in report.refusals}
    return {
        f"{entry.name} {guard.name}": f"{guard.kind}: {guard.reason}"
        for entry in catalog()
        for guard in entry.guards
        if (entry.name, guard.name) in wanted
    }
