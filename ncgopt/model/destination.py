"""Where a result goes, checked before any work is done."""

from __future__ import annotations

from pathlib import Path

from ncgopt.errors import CannotWrite, Usage


def destination(source: Path, output: Path | None, ending: str, *, instead: str = "") -> Path:
    """`output`, or `NAME.ENDING.onnx` beside the source.

    Args:
        source: the model.
        output: what the user named.
        ending: for the name without one.
        instead: what to do for a result in place of the source, for the message.

    Raises:
        Usage: it is the source itself.
        CannotWrite: it is a directory, or its folder does not exist.
    """
    target = output if output is not None else source.with_name(f"{source.stem}.{ending}.onnx")
    if target.exists() and source.exists() and target.samefile(source):
        raise Usage(f"{target} is the input itself{instead}")
    if target.is_dir():
        raise CannotWrite(f"{target} is a directory")
    if not target.absolute().parent.is_dir():
        raise CannotWrite(f"{target}: its folder does not exist")
    return target
