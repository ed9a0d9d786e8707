"""An operator is not ONNX's."""

from __future__ import annotations

from collections.abc import Iterator

from ncgopt.lint.check import Check
from ncgopt.lint.checks._domains import foreign
from ncgopt.lint.finding import Finding, Severity
from ncgopt.lint.subject import Subject

_KNOWN = ("ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training")


class CustomDomains(Check):
    """A node is no standard ONNX operator, so that only some runtimes know it.

    Operators of `com.microsoft` run on ONNX Runtime alone; those of other domains need a library, which `--custom-ops`
    tells ncgopt about. Models that are meant for one runtime have them on purpose, hence this is only a note;
    `allowed-domains` (NCG104) makes an error of what you do not want.
    """

    code = "NCG503"
    name = "custom-domains"
    severity = Severity.NOTE

    def run(self, subject: Subject) -> Iterator[Finding]:
        """Look for domains beyond the standard."""
        for domain, nodes in foreign(subject).items():
            if domain not in _KNOWN:
                listed = ", ".join(dict.fromkeys(node.op_type for node in nodes))
                yield self.finding(f"{nodes[0].name or nodes[0].op_type} ({listed})", domain, len(nodes))
