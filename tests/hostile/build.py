"""Build all malformed and hostile files into a folder: `python tests/hostile/build.py FOLDER`.

Each file is `FOLDER/NAME/model/m.onnx`; `FOLDER/NAME/canary.bin` lies outside of the model's folder, for files that
reach for it. What must happen to each is in its entry of the table.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # when it is run as a script

import onnx

from hostile import bombs, external_data, garbage, graphs
from hostile.parts import Hostile

FILES: list[Hostile] = [*external_data.TABLE.files, *bombs.TABLE.files, *graphs.TABLE.files, *garbage.TABLE.files]


def build(one: Hostile, root: Path) -> Path:
    """Write one file and what belongs to it; the path of the model."""
    folder = root / one.name / "model"
    folder.mkdir(parents=True)
    (folder.parent / external_data.CANARY).write_bytes(bytes(range(256)) * 16)
    made = one.build(folder)
    if made is not None:
        data = made.SerializeToString() if isinstance(made, onnx.ModelProto) else made
        (folder / "m.onnx").write_bytes(data)
    return folder / "m.onnx"


if __name__ == "__main__":
    for file in FILES:
        build(file, Path(sys.argv[1]))
        print(f"{file.name:32}{'/'.join(map(str, file.codes)):12}{file.why}")
