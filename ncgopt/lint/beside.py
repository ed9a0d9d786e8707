"""Files that lie beside a model and are called like its data."""

from __future__ import annotations

from pathlib import Path

_ENDINGS = (".data", "_data", ".onnx.data", ".onnx_data")


def lying_beside(path: Path) -> list[Path]:
    """Files where tools put the data of a model at `path`, absolute; only those that are there."""
    stem, folder = path.name.removesuffix(".onnx"), path.absolute().parent
    places = sorted({folder / (stem + ending) for ending in _ENDINGS})
    return [place for place in places if place.is_file()]
