"""Every deliberate exception of ncgopt, each with its exit code.

One line per error: what went wrong, where, and what to do about it. Anything that is not an
`NcgoptError` and still reaches the command line is a bug of ours (exit code 70).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ncgopt.report import Report


class ExitCode(IntEnum):
    """What the process says to the shell; documented in the README."""

    DONE = 0
    FINDINGS = 1
    MODEL_INVALID = 2
    VERIFICATION_FAILED = 3
    UNSOUND_REWRITE = 4
    INCONCLUSIVE = 5
    GATE_NOT_MET = 6
    SLOWER = 7
    USAGE = 64
    INPUT_UNREADABLE = 66
    UNAVAILABLE = 69
    BUG = 70
    OUT_OF_RESOURCES = 71
    CANNOT_WRITE = 73
    INTERRUPTED = 130


_WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.BUG,
    ExitCode.UNSOUND_REWRITE,
    ExitCode.VERIFICATION_FAILED,
    ExitCode.OUT_OF_RESOURCES,
    ExitCode.CANNOT_WRITE,
    ExitCode.UNAVAILABLE,
    ExitCode.USAGE,
    ExitCode.INPUT_UNREADABLE,
    ExitCode.MODEL_INVALID,
    ExitCode.INCONCLUSIVE,
    ExitCode.GATE_NOT_MET,
    ExitCode.SLOWER,
    ExitCode.FINDINGS,
    ExitCode.DONE,
)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The code of a run over many models: that of the gravest failure, in whatever order they came.

    First what is wrong with us, then with the machine, then with what was given, then gates that were not met.
    """
    return min(codes, key=_WORST_FIRST.index, default=ExitCode.DONE)


class NcgoptError(Exception):
    """Base of all deliberate errors; `str(error)` is one line fit for a terminal.

    Attributes:
        report: how far `optimize` came, where it came far enough to say something.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    report: Report | None = None


class ModelInvalid(NcgoptError):
    """The file was read, but what it holds is not a model that any runtime could accept."""

    exit_code = ExitCode.MODEL_INVALID


class VerificationFailed(NcgoptError):
    """The result does not compute what the original computes, or its interface differs."""

    exit_code = ExitCode.VERIFICATION_FAILED


class UnsoundRewrite(NcgoptError):
    """A rule or pass broke a promise that the engine checks (arity, dtype, shape, interface), or failed.

    Attributes:
        source: the rule or pass; empty where only a bisection can tell.
        step: the pass that ran, which may be the one that applies rules.
    """

    exit_code = ExitCode.UNSOUND_REWRITE

    def __init__(self, message: str, source: str = "") -> None:
        super().__init__(message)
        self.source = source
        self.step = ""


class Inconclusive(NcgoptError):
    """The original itself could not be run on any data we made, so nothing was shown."""

    exit_code = ExitCode.INCONCLUSIVE


class GateNotMet(NcgoptError):
    """A quality or size gate that the user set was not met."""

    exit_code = ExitCode.GATE_NOT_MET


class Slower(NcgoptError):
    """The result takes longer than the original, by more than the user allows."""

    exit_code = ExitCode.SLOWER


class Usage(NcgoptError):
    """The request makes no sense as asked: unknown pass, bad option value, clashing settings."""

    exit_code = ExitCode.USAGE


class InputUnreadable(NcgoptError):
    """A file that was asked for is missing, truncated, refused, or no ONNX model at all."""

    exit_code = ExitCode.INPUT_UNREADABLE


class Unavailable(NcgoptError):
    """Something that this request needs is not installed; the message says how to get it."""

    exit_code = ExitCode.UNAVAILABLE


class OutOfResources(NcgoptError):
    """The work ran out of time or memory, or crashed natively, outside of anything that could be left out."""

    exit_code = ExitCode.OUT_OF_RESOURCES


class CannotWrite(NcgoptError):
    """The output could not be written; whatever was at its path before is still there."""

    exit_code = ExitCode.CANNOT_WRITE
