"""What is said about a comparison: why it failed, and what a passed one rests on."""

from __future__ import annotations

from collections.abc import Sequence

from ncgopt.report import OutputDifference, VerifyRun

_ILL_CONDITIONED = 0.1  # noise of this part of an output's scale on every run makes a comparison say little


def how(output: OutputDifference) -> str:
    """In what way an output differs, and by how much it might have."""
    if output.detail:
        return output.detail
    differing = f"{output.mismatches} of {output.elements} elements differ"
    if output.error is not None and output.own_error is not None:
        differing = f"from float64 by {output.error:.3g}, the original by {output.own_error:.3g}, {differing}"
        if output.error_limit is not None and output.max_abs <= output.limit:
            far = f"is {output.error:.3g} away from float64 where {output.error_limit:.3g} is allowed"
            return f"{far} (differs by {output.max_abs:.3g}, scale {output.scale:.3g}, {differing})"
    return (
        f"differs by {output.max_abs:.3g} where {output.limit:.3g} is allowed (scale {output.scale:.3g}, {differing})"
    )


def notes(runs: Sequence[VerifyRun]) -> list[str]:
    """Outputs that passed only because the original itself is off, or moves; and on how many runs."""
    compared: dict[str, list[OutputDifference]] = {}
    for output in (output for run in runs for output in run.outputs):
        compared.setdefault(output.output, []).append(output)
    return [note for name, outputs in compared.items() if (note := _note(name, outputs))]


def _note(name: str, outputs: Sequence[OutputDifference]) -> str:
    noisy = [output for output in outputs if output.ok and (output.noise or _is_off_itself(output))]
    if not noisy:
        return ""
    where = "" if len(noisy) == len(outputs) else f" on {len(noisy)} of {len(outputs)} runs"
    moves = [output.noise for output in noisy if output.noise]
    off = max((output.own_error or 0.0 for output in noisy if _is_off_itself(output)), default=0.0)
    away = max((output.error or 0.0 for output in noisy if _is_off_itself(output)), default=0.0)
    blind = all(max(output.noise, output.own_error or 0.0) > _ILL_CONDITIONED * output.scale for output in outputs)
    said = [f"the original moves by {max(moves):.2g} itself"] if moves else []
    said += [f"the original is {off:.2g} away from float64, the result {away:.2g}"] if off else []
    little = ", so the comparison says little" if blind else ""
    return f"output {name} is ill-conditioned{where}: {' and '.join(said)}{little}"


def _is_off_itself(output: OutputDifference) -> bool:
    """Whether the original is further from float64 than the table allows."""
    return output.own_error is not None and output.error_limit is None
