"""Every field of every message of the installed onnx survives loading and writing."""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from full_model import build, message_types, sites
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ncgopt.errors import NcgoptError
from ncgopt.model import from_proto, to_proto

# Fields whose value the model's meaning hangs on cannot take any value: they take these, or none.
VALUES: dict[str, Any] = {
    "onnx.AttributeProto.type": None,  # says which of the other fields holds the value
    "onnx.AttributeProto.name": "renamed",
    "onnx.AttributeProto.ref_attr_name": None,  # turns a value into a reference: set in the sample model
    "onnx.NodeProto.input": ["", ""],
    "onnx.NodeProto.output": None,  # defines a value: a new one would be defined twice
    "onnx.NodeProto.domain": None,  # with op_type it names the operator: set in the sample model
    "onnx.FunctionProto.output": None,
    "onnx.FunctionProto.input": ["a", "x"],
    "onnx.FunctionProto.domain": None,
    "onnx.ModelProto.ir_version": 12,
    "onnx.OperatorSetIdProto.domain": None,  # imports another operator set and no longer this one
    "onnx.TensorProto.data_type": None,
    "onnx.TensorProto.dims": None,
    "onnx.TensorProto.data_location": None,  # tests of external data
    "onnx.SparseTensorProto.dims": [3, 3],
    "onnx.TypeProto.Tensor.elem_type": 7,
    "onnx.TypeProto.SparseTensor.elem_type": 7,
}
TENSOR_DATA = {"raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data"}
NAMED = {"onnx.GraphProto", "onnx.TensorProto", "onnx.ValueInfoProto"}
SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: 5,
    FieldDescriptor.CPPTYPE_INT64: 6,
    FieldDescriptor.CPPTYPE_UINT64: 7,
    FieldDescriptor.CPPTYPE_FLOAT: 0.5,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.25,
    FieldDescriptor.CPPTYPE_STRING: "set by the test",
}


UNKNOWN = bytes.fromhex(
    "c03e05"  # fields 1000 to 1004: a number,
    "c03effffffffffffffffff01"  # a negative one,
    "ca3e03616263"  # bytes,
    "d53e01020304"  # four bytes,
    "d93e0102030405060708"  # eight bytes,
    "e33e0801e43e"  # a group
)
SAMPLE = build().SerializeToString()
PATHS = [path for path, _ in sites(build())]


def fields(message: Message) -> list[str]:
    """Names of the fields of a message that can be set at will."""
    found: list[str] = []
    descriptor = message.DESCRIPTOR
    for field in descriptor.fields:
        if VALUES.get(field.full_name, ...) is None or field.name in TENSOR_DATA:
            continue
        if field.name == "name" and descriptor.full_name in NAMED:
            continue  # renames a value that others refer to by name
        if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name) != field.name:
            continue  # would replace the field that is set
        if field.message_type is not None and field.full_name not in OPTIONAL_MESSAGES:
            continue  # set in the sample model: it is a site of its own
        found.append(field.name)
    return found


def sample() -> onnx.ModelProto:
    return onnx.ModelProto.FromString(SAMPLE)


OPTIONAL_MESSAGES = {
    f"{name}.metadata_props" for name in ("onnx.ModelProto", "onnx.GraphProto", "onnx.FunctionProto", "onnx.NodeProto")
} | {"onnx.ValueInfoProto.metadata_props", "onnx.TensorProto.metadata_props", "onnx.TensorProto.segment"}


def find(model: onnx.ModelProto, path: str) -> Message:
    return dict(sites(model))[path]


def change(message: Message, name: str) -> None:
    field = message.DESCRIPTOR.fields_by_name[name]
    value = VALUES.get(field.full_name)
    target = getattr(message, name)
    if field.message_type is not None:
        if name == "metadata_props":
            for key in ("z", "a", "z"):
                target.add(key=key, value=f"{key}{len(target)}")
        else:
            target.begin, target.end = 1, 2
        return
    if value is None:
        if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
            value = field.enum_type.values[-1].number
        elif field.type == FieldDescriptor.TYPE_BYTES:
            value = b"\xff\x00"
        else:
            value = SCALARS[field.cpp_type]
        value = [value, value] if hasattr(target, "append") else value
    if isinstance(value, list):
        del target[:]
        target.extend(value)
    else:
        setattr(message, name, value)


def assert_round_trip(model: onnx.ModelProto) -> None:
    loaded = from_proto(model)
    assert not loaded.repairs
    written = to_proto(loaded.model)
    assert written.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True), (
        f"read:\n{onnx.printer.to_text(model)}\nwritten:\n{onnx.printer.to_text(written)}"
    )


def test_sample_model_holds_every_message() -> None:
    used = {message.DESCRIPTOR.full_name for _, message in sites(build())}
    aside = {"onnx.TrainingInfoProto", "onnx.TensorProto.Segment"}
    assert message_types(onnx.ModelProto.DESCRIPTOR) - used == aside


def test_sample_model() -> None:
    assert_round_trip(sample())


@pytest.mark.parametrize("path", PATHS)
def test_fields(path: str) -> None:
    message = find(model := sample(), path)
    for name in fields(message):
        change(message, name)
    assert_round_trip(model)


def test_unknown_fields() -> None:
    """A later version of the format may add any kind of field to any message."""
    model = sample()
    for _, message in sites(model):
        message.MergeFromString(UNKNOWN)
    assert_round_trip(model)
    assert to_proto(from_proto(model).model).SerializeToString().count(UNKNOWN) == len(PATHS)


def test_fields_set_to_their_default() -> None:
    """An empty text that is present differs from an absent one."""
    model = sample()
    for _, message in sites(model):
        for field in message.DESCRIPTOR.fields:
            text = field.type == FieldDescriptor.TYPE_STRING and field.containing_oneof is None
            if text and not hasattr(getattr(message, field.name), "append") and not message.HasField(field.name):
                setattr(message, field.name, "")
    assert_round_trip(model)


def test_emptied_message_is_no_crash() -> None:
    """Whatever message is emptied, the answer is a model or one clear line."""
    messages: list[str] = []
    for path in PATHS:
        find(model := sample(), path).Clear()
        try:
            to_proto(from_proto(model).model)
        except NcgoptError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all(message and "\n" not in message for message in messages)
