"""From a model in memory to a file: complete or not at all, and nothing lost on the way."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from ncgopt.errors import CannotWrite
from ncgopt.model import files
from ncgopt.model.layout import Layout, data_files
from ncgopt.model.stream import Filled, Holes, Output
from ncgopt.model.wire import LARGEST_FILE
from ncgopt.model.write import Writer
from ncgopt.report import WrittenFile
from ncgopt.settings import ExternalData


@dataclass(frozen=True)
class SavedFiles:
    """What was written.

    Attributes:
        files: the .onnx file and, if there is one, its data file.
        left_over: data files of the replaced model that nobody uses any more, but that could not be removed.
    """

    files: tuple[WrittenFile, ...]
    left_over: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where they are."""
        return tuple(Path(file.path) for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all of them."""
        return sum(file.bytes for file in self.files)


def save(
    model: ir.Model,
    path: str | os.PathLike[str],
    *,
    external_data: ExternalData = "auto",
    input_external: bool = False,
    replaces: Path | None = None,
) -> SavedFiles:
    """Write the model to `path`; on any failure everything is as it was before.

    New weights are written first, under a name that nothing refers to yet; then the .onnx file takes
    its place by a rename; last, data files that only the replaced .onnx file used are removed. If
    `path` is a symbolic link, the link is replaced and what it points to stays as it is. The model in
    memory stays usable unless its own data files were replaced.

    The data file is called like the model with `.data` behind it, or `.HASH.data` where that is taken;
    if the data file of the replaced model has the very content, it stays and keeps its name. The same
    model therefore gives the same bytes every time.

    Args:
        model: the model.
        path: file to write; a file there is replaced.
        external_data: `always` puts weights into a file of their own, `never` into the .onnx file,
            `auto` follows `input_external` unless the model would exceed 2 GiB.
        input_external: whether the model had external data when it was read.
        replaces: the file that the model was read from if it is saved in place; otherwise files that
            the model's tensors lie in are never removed.

    Raises:
        CannotWrite: the folder is missing, full or read-only, `path` is no regular file, or the model
            is too large for `never`.
    """
    target = Path(os.path.abspath(path))
    if not target.parent.is_dir():
        raise CannotWrite(f"{target} cannot be written: the folder {target.parent} does not exist")
    if target.exists() and not target.is_file():
        raise CannotWrite(f"{target} is no regular file and cannot be replaced")
    try:
        layout = _choose_layout(model, target, external_data, input_external=input_external)
        return _save(model, target, layout, in_place=replaces is not None and Path(os.path.abspath(replaces)) == target)
    except OSError as error:
        raise _cannot_write(target, model, error) from error


def write_beside(model: ir.Model, path: Path, *, links: bool = False) -> None:
    """Write the model into a folder of passing files, for another process to read: nothing is flushed or renamed.

    Args:
        model: the model.
        path: file to write, its weights beside it.
        links: whether whoever reads it takes hard links to data that are as they were.

    Raises:
        CannotWrite: the folder is full, or a file that a weight lies in changed.
    """
    try:
        layout = Layout.beside(model, path, links=links)
        name = f"{path.name}.data"
        if layout.size:
            with path.with_name(name).open("wb") as file:
                layout.write(Output(file, hashed=False))
        with path.open("wb") as file:
            _message(model, layout, name).write(Output(file, hashed=False))
    except OSError as error:
        raise _cannot_write(path, model, error) from error


def _cannot_write(target: Path, model: ir.Model, error: OSError) -> CannotWrite:
    read = f" ({error.filename})" if error.filename in data_files(model) else ""
    return CannotWrite(f"{target} cannot be written: {error.strerror or error}{read}")


def _choose_layout(model: ir.Model, target: Path, external_data: ExternalData, *, input_external: bool) -> Layout:
    if external_data == "always" or (external_data == "auto" and input_external):
        return Layout.of(model)
    size = _message(model, Layout(), "").size
    if size <= LARGEST_FILE:
        return Layout()
    if external_data == "never":
        raise CannotWrite(f"{target} would have {size} bytes, more than the 2 GiB that one file can hold")
    return Layout.of(model)


def _save(model: ir.Model, target: Path, layout: Layout, *, in_place: bool) -> SavedFiles:
    folder = target.parent
    old = files.data_locations(target)
    created: Path | None = None
    data: WrittenFile | None = None
    try:
        if layout.size:
            data, created = _write_data(layout, target, old)
        name = Path(data.path).name if data is not None else ""
        with files.temporary(target) as (temporary, file):
            output = Output(file)
            _message(model, layout, name).write(output)
        try:
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except BaseException:
        if created is not None:
            created.unlink(missing_ok=True)
        raise
    files.sync_folder(folder)
    written = WrittenFile(str(target), output.position, output.sha256)
    saved = (written,) if data is None else (written, data)
    kept = [Path(path) for path in data_files(model)] if not in_place else []
    left_over = files.remove_unused(folder, old, target, [*kept, *(Path(file.path) for file in saved)])
    return SavedFiles(saved, left_over)


def _write_data(layout: Layout, target: Path, old: tuple[str, ...]) -> tuple[WrittenFile, Path | None]:
    """Write the data file; returns what it is, and its path again if it was not there before."""
    reusable = [target.parent / location for location in old if location == Path(location).name]
    same = layout.found_in()
    if same is not None and same.path in reusable:
        return WrittenFile(str(same.path), same.size, same.sha256()), None
    with files.temporary(target) as (temporary, file):
        output = Output(file)
        layout.write(output)
    digest = output.sha256
    try:
        named = target.parent / f"{target.name}.{digest[:12]}.data"
        for path in [*reusable, named]:
            if files.same_content(temporary, path):
                temporary.unlink()
                return WrittenFile(str(path), output.position, digest), None
        free = [target.parent / f"{target.name}.data", named, target.parent / f"{target.name}.{digest}.data"]
        path = next(path for path in free if path == free[-1] or not os.path.lexists(path))
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    files.sync_folder(target.parent)
    return WrittenFile(str(path), output.position, digest), path


def _message(model: ir.Model, layout: Layout, location: str) -> Filled:
    """The .onnx file, its large weights not read yet."""
    holes = Holes()
    return holes.fill(Writer(lambda tensor: layout.message(tensor, location, holes)).model(model))
