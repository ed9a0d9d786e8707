"""Texts that are no UTF-8: ONNX Runtime never looks, Python's protobuf cannot copy them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ncgopt.errors import ModelInvalid
from ncgopt.report import Repair


def repair_texts(proto: onnx.ModelProto) -> Iterator[Repair]:
    r"""Write bytes that are no UTF-8 as `\xNN`, the same way everywhere, so names still match.

    protobuf hands such a text out as bytes and refuses to take it back.

    Raises:
        ModelInvalid: the name of an input or output is concerned, which users know the model by.
    """
    for kind, infos in (("input", proto.graph.input), ("output", proto.graph.output)):
        for index, info in enumerate(infos):
            if isinstance(cast(object, info.name), bytes):
                raise ModelInvalid(f"the name of {kind} {index} is no UTF-8 text: {info.name!r}")
    for message, name in _wrong_texts(proto):
        value = getattr(message, name)
        if isinstance(value, bytes):
            setattr(message, name, _readable(value))
        else:
            value[:] = [_readable(item) for item in value]
        yield Repair("text-not-utf8", message.DESCRIPTOR.name, f"{name} is now {getattr(message, name)!r}")


def _wrong_texts(message: Message) -> Iterator[tuple[Message, str]]:
    for field, value in cast("list[tuple[Any, Any]]", message.ListFields()):
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for item in [value] if isinstance(value, Message) else value:
                yield from _wrong_texts(item)
        elif field.type == FieldDescriptor.TYPE_STRING:
            texts: list[object] = [value] if isinstance(value, str | bytes) else list(value)
            if any(isinstance(text, bytes) for text in texts):
                yield message, field.name


def _readable(text: str | bytes) -> str:
    return text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
