"""Train every model of this folder: `python models/trained/build.py [FOLDER]`; two minutes on one core."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # for assemble.py

import digits_cnn  # noqa: E402
import digits_mlp  # noqa: E402
from assemble import save  # noqa: E402

MODELS = (digits_mlp, digits_cnn)


def main(folder: Path) -> None:
    """Write one `.onnx` file per script into the folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for module in MODELS:
        save(module.build(), folder / f"{module.__name__}.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
