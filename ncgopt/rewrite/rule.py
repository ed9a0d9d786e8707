"""What a rule is: `match` finds, `requires` justifies, `pays` weighs, `build` describes.

A rule holds no state and changes nothing. The engine (`ncgopt.rewrite.engine`) does both.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import onnx_ir as ir

from ncgopt.records import record
from ncgopt.rewrite.tape import Tape
from ncgopt.settings import Target

M = TypeVar("M")


class Claim(enum.Enum):
    """How equal the result is.

    EXACT: bit for bit (payloads of NaN aside). ROUNDS: the same real number, rounded otherwise.
    RANGED: the same wherever the ranges stated in the rule hold. LOSSY: another function; never in
    a preset, always asked for by name.
    """

    EXACT = "exact"
    ROUNDS = "rounds"
    RANGED = "ranged"
    LOSSY = "lossy"


@record
class Guard(Generic[M]):
    """A named condition on a match.

    Attributes:
        name: what is required.
        reason: what goes wrong without it.
        holds: whether it is so.
        costly: whether `holds` reads whole weights: it is then asked last, where everything else holds.
    """

    name: str
    reason: str
    holds: Callable[[M], bool]
    costly: bool = False

    if not TYPE_CHECKING:

        def __class_getitem__(cls, match: object) -> type[Self]:
            """The class itself: what `typing` makes of `Requires[Match]` takes a tenth of what importing rules does."""
            return cls


class Requires(Guard[M]):
    """A guard that soundness needs: without it, results differ."""


class Pays(Guard[M]):
    """A guard that only profit needs: without it, the rewrite is still right but not worth it."""


class Rule(Generic[M]):
    """A local rewrite, rooted at one node.

    Class attributes:
        name: kebab-case; the same stem as the file.
        claim: how equal the result is.
        root: operator(s) the pattern ends in, `Op` or `domain::Op`.
        since_opset: the oldest opset version of the root's domain for which the rule holds.
        targets: the targets whose runtimes know every operator that `build` emits.
        requires, pays: the guards; evaluated in order, costly ones last, and the first that fails is reported.
        unconditional: why the rule needs no `requires`, where it has none.
        by_request: why no preset contains the rule, where none does; it then has to be asked for by name.
        closing: whether the rule waits until nothing else changes anything. For fused operators that
            other rules do not see into: formed at once, they would hide what is folded a cycle later.
    """

    name: ClassVar[str] = ""
    claim: ClassVar[Claim]
    root: ClassVar[str | tuple[str, ...]] = ""
    since_opset: ClassVar[int] = 1
    targets: ClassVar[frozenset[Target]] = frozenset(Target)
    requires: ClassVar[tuple[Requires[Any], ...]] = ()
    pays: ClassVar[tuple[Pays[Any], ...]] = ()
    unconditional: ClassVar[str] = ""
    by_request: ClassVar[str] = ""
    closing: ClassVar[bool] = False

    # No `abc.ABC`: with hundreds of subclasses, its `isinstance` and the making of each class take longer than rules.

    if not TYPE_CHECKING:

        def __class_getitem__(cls, match: object) -> type[Self]:
            """The class itself, as for guards."""
            return cls

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a rule that says too little about itself, so that it cannot even be imported."""
        super().__init_subclass__(**kwargs)
        base: Any = Rule
        if cls.match is base.match or cls.build is base.build:
            return  # what several rules have in common
        lacks = [what for what in ("name", "root", "claim") if not getattr(cls, what, None)]
        if not cls.__dict__.get("__doc__"):
            lacks.append("docstring")
        if not cls.requires and not cls.unconditional:
            lacks.append("requires (or unconditional = why)")
        names = [guard.name for guard in (*cls.requires, *cls.pays)]
        if len(set(names)) != len(names):
            lacks.append("distinct guard names")
        if lacks:
            raise TypeError(f"rule {cls.__name__} lacks: {', '.join(lacks)}")

    @property
    def roots(self) -> tuple[str, ...]:
        """The root operators as a tuple."""
        return (self.root,) if isinstance(self.root, str) else self.root

    def match(self, node: ir.Node) -> M | None:
        """What the pattern binds when rooted at `node`, or None. Reads only; never raises."""
        raise NotImplementedError

    def build(self, tape: Tape, m: M) -> Sequence[ir.Value | None]:
        """Record the replacement on `tape`; one value per output of the root (None: must be unused)."""
        raise NotImplementedError
