"""What the rest of `capture` asks of a program, whatever framework it is written in."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy.typing as npt

from ncgopt.capture.specs import InputSpec
from ncgopt.errors import ExitCode, NcgoptError

_PLACE = re.compile(r'File "([^"]+)", line (\d+)')

Arrays = Mapping[str, npt.NDArray[Any]]


class CannotCapture(NcgoptError):
    """The program cannot become a static graph, or not the one that was asked for."""

    exit_code = ExitCode.MODEL_INVALID


class ProgramRefuses(Exception):  # control flow inside this package
    """The program itself does not run on these data."""


class Program(Protocol):
    """A program of a framework, ready to run and to be exported.

    Attributes:
        framework: what it is written in, with the version.
        changes: what was done to it before, a line each (training mode left, ...).
    """

    framework: ClassVar[str]
    changes: list[str]

    def inputs(self) -> tuple[InputSpec, ...]:
        """What the program itself says of its inputs; nothing where it does not."""
        ...

    def run(self, feeds: Arrays, specs: Sequence[InputSpec]) -> list[npt.NDArray[Any]]:
        """What the program gives, in order; tensors only.

        Raises:
            ProgramRefuses: it fails on these data.
        """
        ...

    def state(self) -> bytes:
        """A digest of what the program remembers from run to run; empty where it can remember nothing."""
        ...

    def export(self, path: Path, specs: Sequence[InputSpec], request: Request) -> None:
        """Write the static graph; its inputs are called as in `specs`.

        Raises:
            CannotCapture: the framework cannot, with its reason.
        """
        ...


class Request:
    """How to export.

    Attributes:
        sizes: sizes to trace with, for each symbol.
        ranges: least and greatest size of symbols, where known.
        feeds: data of these sizes.
        opset: version of the default operator set, None for the exporter's own.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        ranges: Mapping[str, tuple[int, int | None]],
        feeds: Arrays,
        opset: int | None,
    ) -> None:
        self.sizes, self.ranges, self.feeds, self.opset = sizes, ranges, feeds, opset


def reason(error: BaseException) -> str:
    """One line: the kind of an exception, what its text begins with, and the line of the program that it names."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = f"{type(cause).__name__}: {' '.join(lines[:2])[:300]}" if lines else type(cause).__name__
    own = [(path, line) for path, line in _PLACE.findall(str(cause)) if "site-packages" not in path]
    return f"{said} (at {Path(own[-1][0]).name}:{own[-1][1]})" if own else said


@contextmanager
def silence() -> Generator[None]:
    """Keep what frameworks say on their own from the terminal; what matters of it comes as an exception."""
    was = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(was)
