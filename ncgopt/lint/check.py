"""What a check is: a code, a severity, a page that says why, and a look at one model."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, ClassVar

from ncgopt.lint.finding import Finding, Fix, Severity
from ncgopt.lint.subject import Subject


class Check:
    """A named look at one model.

    Class attributes:
        code: `NCG` and three digits, never given to another check again.
        name: kebab-case; the same stem as the file.
        severity: of its findings.
        fix: how `--fix` mends them.
        needs_model: whether it looks at a model that could be loaded; else at the file that could not.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity]
    fix: ClassVar[Fix] = ""
    needs_model: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a check that says too little about itself, so that it cannot even be imported."""
        super().__init_subclass__(**kwargs)
        lacks = [what for what in ("code", "name", "severity") if not getattr(cls, what, None)]
        if not cls.__dict__.get("__doc__"):
            lacks.append("docstring")
        if lacks:
            raise TypeError(f"check {cls.__name__} lacks: {', '.join(lacks)}")

    def run(self, subject: Subject) -> Iterator[Finding]:
        """What it finds; nothing where it is content. Reads only."""
        raise NotImplementedError

    def finding(self, message: str, name: str = "", count: int = 1) -> Finding:
        """One finding of this check; `message` says where and what, in one line."""
        text = " ".join(message.split())
        return Finding(self.name, name, count, text, self.code, self.severity.label, self.fix)

    @classmethod
    def page(cls) -> str:
        """The documentation, whole."""
        return inspect.cleandoc(cls.__doc__ or "")

    @classmethod
    def summary(cls) -> str:
        """Its first line."""
        return cls.page().split("\n")[0]
