"""Where external data may lie: inside the model's folder, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from ncgopt.errors import InputUnreadable


@dataclass
class DataFolder:
    """The folder of a model, as its path was given (a link to the .onnx itself is not followed).

    A location in a model file is input from a stranger: it must not make us read, and later write
    into a model, a file of the user that the model's folder does not hold.

    Attributes:
        path: absolute folder.
        trust_links: accept symbolic links that leave the folder, as in Hugging Face's cache, where
            every file of a snapshot is a link into a folder of blobs. A location with `..` stays refused.
        absolute: accept absolute locations; only for models that this package wrote to memory itself.
    """

    path: Path
    trust_links: bool = False
    absolute: bool = False
    sizes: dict[str, tuple[Path, int]] = field(default_factory=dict[str, tuple[Path, int]])

    def find(self, location: str, end: int, where: str) -> Path:
        """Absolute path of the file named by `location`, which must hold at least `end` bytes.

        Raises:
            InputUnreadable: the location is refused, the file is missing or too short.
        """
        if location not in self.sizes:
            self.sizes[location] = self._resolve(location, where)
        path, size = self.sizes[location]
        if size < end:
            raise InputUnreadable(f"{where} ends at byte {end} of {path}, but that file has only {size} bytes")
        return path

    def _resolve(self, location: str, where: str) -> tuple[Path, int]:
        self._check_location(location, where)
        path = self.path / location
        try:
            size = path.stat().st_size
            real = path.resolve(strict=True)
        except (OSError, ValueError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputUnreadable(f"{where} has its data in {path}, which cannot be read: {reason}") from error
        if not path.is_file():
            raise InputUnreadable(f"{where} has its data in {path}, which is no regular file")
        if not os.access(path, os.R_OK):
            raise InputUnreadable(f"{where} has its data in {path}, which cannot be read: Permission denied")
        if not (self.trust_links or self.absolute) and not real.is_relative_to(self.path.resolve()):
            raise InputUnreadable(
                f"{where} has its data in {path}, a link that leaves the model's folder; "
                "--trust-links accepts such links"
            )
        return path, size

    def _check_location(self, location: str, where: str) -> None:
        if not location or "\0" in location:
            raise InputUnreadable(f"{where} has external data without a valid location: {location!r}")
        posix, windows = PurePosixPath(location), PureWindowsPath(location)
        if self.absolute and Path(location).is_absolute():
            return
        if posix.is_absolute() or windows.drive or windows.root:
            raise InputUnreadable(f"{where} has its data at the absolute path {location!r}, which is refused")
        if ".." in posix.parts or ".." in windows.parts:
            raise InputUnreadable(f"{where} has its data at {location!r}, outside of the model's folder: refused")
