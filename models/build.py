"""Build every model of this folder: `python models/build.py [FOLDER]` (beside the scripts if no folder is named)."""

import sys
from pathlib import Path

import cnn
import control_flow
import dense
import dense_linear
import duplicates
import transformer
from assemble import save

MODELS = (dense, dense_linear, cnn, transformer, control_flow, duplicates)


def main(folder: Path) -> None:
    """Write one `.onnx` file per script into the folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for module in MODELS:
        save(module.build(), folder / f"{module.__name__}.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
