"""External data that lie where they must not, or are not there."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from hostile.parts import LIMITS, Table, external, model, with_weight

TABLE = Table()
add = TABLE.add
CANARY = "canary.bin"  # in the folder above the model's, 4 kB that nobody may read


@add("external-absolute", 66, "absolute path")
def _(folder: Path) -> onnx.ModelProto:
    """An absolute path to a file of the user."""
    return with_weight(external(str(folder.parent / CANARY)))


@add("external-absolute-windows", 66, "absolute path")
def _(folder: Path) -> onnx.ModelProto:
    """The same as Windows writes it."""
    return with_weight(external(r"C:\Windows\win.ini"))


@add("external-parent", 66, "outside of the model's folder")
def _(folder: Path) -> onnx.ModelProto:
    """Up one folder."""
    return with_weight(external(f"../{CANARY}"))


@add("external-parent-hidden", 66, "outside of the model's folder")
def _(folder: Path) -> onnx.ModelProto:
    """Down, then up two folders."""
    (folder / "sub").mkdir()
    return with_weight(external(f"sub/../../{CANARY}"))


@add("external-parent-backslash", 66, "outside of the model's folder")
def _(folder: Path) -> onnx.ModelProto:
    """Up one folder, as Windows writes it."""
    return with_weight(external(rf"..\{CANARY}"))


@add("external-link", 66, "link that leaves")
def _(folder: Path) -> onnx.ModelProto:
    """A link out of the folder."""
    (folder / "w.bin").symlink_to(folder.parent / CANARY)
    return with_weight(external("w.bin"))


@add("external-linked-folder", 66, "link that leaves")
def _(folder: Path) -> onnx.ModelProto:
    """A file in a folder that is a link out of the folder."""
    (folder / "data").symlink_to(folder.parent, target_is_directory=True)
    return with_weight(external(f"data/{CANARY}"))


@add("external-link-to-itself", 66, "cannot be read")
def _(folder: Path) -> onnx.ModelProto:
    """A link to itself."""
    (folder / "w.bin").symlink_to("w.bin")
    return with_weight(external("w.bin"))


@add("external-offset-beyond", 66, "has only 16 bytes")
def _(folder: Path) -> onnx.ModelProto:
    """An offset behind the end of the file."""
    (folder / "w.bin").write_bytes(bytes(16))
    return with_weight(external("w.bin", offset=1 << 20, length=16))


@add("external-length-beyond", 66, "has only 16 bytes")
def _(folder: Path) -> onnx.ModelProto:
    """More bytes than the file has."""
    (folder / "w.bin").write_bytes(bytes(16))
    return with_weight(external("w.bin", dims=[1000, 4], length=16000))


@add("external-terabyte", 66, "has only 16 bytes")
def _(folder: Path) -> onnx.ModelProto:
    """A tensor of a terabyte in a file of 16 bytes."""
    (folder / "w.bin").write_bytes(bytes(16))
    return with_weight(external("w.bin", dims=[1 << 36, 4]))


@add("external-sparse-file", 5, "", LIMITS)
def _(folder: Path) -> onnx.ModelProto:
    """A terabyte that is really there: a file with a hole. Nothing is wrong with it, it only does not fit in memory."""
    with (folder / "w.bin").open("wb") as file:
        file.truncate(1 << 40)
    return with_weight(external("w.bin", dims=[1 << 36, 4]))


@add("external-offset-negative", 2, "no number")
def _(folder: Path) -> onnx.ModelProto:
    """A negative offset."""
    (folder / "w.bin").write_bytes(bytes(64))
    return with_weight(external("w.bin", offset=-16, length=16))


@add("external-length-negative", 2, "no number")
def _(folder: Path) -> onnx.ModelProto:
    """A negative length."""
    (folder / "w.bin").write_bytes(bytes(64))
    return with_weight(external("w.bin", length=-1))


@add("external-offset-huge", 66, "has only 64 bytes")
def _(folder: Path) -> onnx.ModelProto:
    """An offset that fits in no integer of C."""
    (folder / "w.bin").write_bytes(bytes(64))
    return with_weight(external("w.bin", offset=1 << 100, length=16))


@add("external-offset-digits", (2, 66), "")
def _(folder: Path) -> onnx.ModelProto:
    """An offset of ten thousand digits, which Python's own `int` refuses."""
    (folder / "w.bin").write_bytes(bytes(64))
    return with_weight(external("w.bin", offset="9" * 10_000))


@add("external-folder", 66, "regular file")
def _(folder: Path) -> onnx.ModelProto:
    """A folder instead of a file."""
    (folder / "w.bin").mkdir()
    return with_weight(external("w.bin"))


@add("external-fifo", 66, "regular file")
def _(folder: Path) -> onnx.ModelProto:
    """A named pipe, on which a reader would wait forever."""
    os.mkfifo(folder / "w.bin")
    return with_weight(external("w.bin"))


@add("external-device", 66, "")
def _(folder: Path) -> onnx.ModelProto:
    """A link to a device that never ends."""
    (folder / "w.bin").symlink_to("/dev/zero")
    return with_weight(external("w.bin"))


@add("external-without-location", 66, "without a valid location")
def _(folder: Path) -> onnx.ModelProto:
    """No location."""
    return with_weight(external(""))


@add("external-location-nul", 66, "without a valid location")
def _(folder: Path) -> onnx.ModelProto:
    """A location that C would read as another."""
    return with_weight(external("w.bin\0.txt"))


@add("external-location-long", 66, "cannot be read")
def _(folder: Path) -> onnx.ModelProto:
    """A location of a megabyte."""
    return with_weight(external("w" * (1 << 20)))


@add("external-strings", 2, "strings in external data")
def _(folder: Path) -> onnx.ModelProto:
    """Strings, which cannot lie in external data."""
    (folder / "w.bin").write_bytes(bytes(64))
    return with_weight(external("w.bin", dtype=TensorProto.STRING))


@add("external-in-subgraph", 66, "outside of the model's folder")
def _(folder: Path) -> onnx.ModelProto:
    """Hidden in a Constant of a branch, which not every reader looks into."""
    tensor = external(f"../{CANARY}")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=tensor)],
        "branch",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [4])],
    )
    nodes = [
        helper.make_node("Constant", [], ["k"], value=helper.make_tensor("k", TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["k"], ["y"], then_branch=branch, else_branch=branch),
    ]
    return model(nodes, y=[4])


@add("model-fifo", 66, "")
def _(folder: Path) -> None:
    """The model itself is a named pipe."""
    os.mkfifo(folder / "m.onnx")


@add("model-device", 66, "")
def _(folder: Path) -> None:
    """The model itself is a link to a device that never ends."""
    (folder / "m.onnx").symlink_to("/dev/zero")
