"""Models parsed without their weights: where those lie in the file is found by walking its wire format.

An ONNX file is a protobuf message, and a message is a sequence of fields, each with a tag and, for
texts, bytes and inner messages, a length (protobuf's encoding specification). So one walks from tensor
to tensor by adding lengths, reads no weight, and can write down the same message with a short
placeholder for each large `raw_data`. Only that is parsed: repeated and merged fields, fields in any
order and unknown ones then mean what protobuf says they mean. Whatever this walk does not understand
is left for protobuf to read as a whole.
"""

from __future__ import annotations

import mmap
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import onnx
from google.protobuf.message import DecodeError

SMALLEST = 4096
"""Bytes from which on `raw_data` stays in the file: a page, which mapping costs anyway."""

LARGEST_FILE = (1 << 31) - 1
"""Bytes that a protobuf message may have (protobuf's implementations use a signed 32-bit size)."""

TOKEN_BYTES = 16
_NUMBER_BYTES = 8
_GIVEN_BACK_EVERY = 8
PLACEHOLDER_BYTES = TOKEN_BYTES + 2 * _NUMBER_BYTES

Fields: TypeAlias = "Mapping[int, Fields | None]"
"""Inner messages by field number that may hold large tensors; None: the field is `raw_data` itself."""


def _fields() -> Fields:
    """What is walked into. Not training info: it is kept as bytes, in which a placeholder would last."""
    tensor: Fields = {onnx.TensorProto.RAW_DATA_FIELD_NUMBER: None}
    sparse: Fields = {
        onnx.SparseTensorProto.VALUES_FIELD_NUMBER: tensor,
        onnx.SparseTensorProto.INDICES_FIELD_NUMBER: tensor,
    }
    graph: dict[int, Fields | None] = {
        onnx.GraphProto.INITIALIZER_FIELD_NUMBER: tensor,
        onnx.GraphProto.SPARSE_INITIALIZER_FIELD_NUMBER: sparse,
    }
    attribute: Fields = {
        onnx.AttributeProto.T_FIELD_NUMBER: tensor,
        onnx.AttributeProto.TENSORS_FIELD_NUMBER: tensor,
        onnx.AttributeProto.SPARSE_TENSOR_FIELD_NUMBER: sparse,
        onnx.AttributeProto.SPARSE_TENSORS_FIELD_NUMBER: sparse,
        onnx.AttributeProto.G_FIELD_NUMBER: graph,
        onnx.AttributeProto.GRAPHS_FIELD_NUMBER: graph,
    }
    node: Fields = {onnx.NodeProto.ATTRIBUTE_FIELD_NUMBER: attribute}
    graph[onnx.GraphProto.NODE_FIELD_NUMBER] = node
    function: Fields = {
        onnx.FunctionProto.NODE_FIELD_NUMBER: node,
        onnx.FunctionProto.ATTRIBUTE_PROTO_FIELD_NUMBER: attribute,
    }
    return {onnx.ModelProto.GRAPH_FIELD_NUMBER: graph, onnx.ModelProto.FUNCTIONS_FIELD_NUMBER: function}


MODEL = _fields()


@dataclass
class Places:
    """Where the large `raw_data` of one parsed file lie in it.

    Attributes:
        path: the file.
        count: how many placeholders the message was given.
    """

    path: Path
    count: int = 0
    _token: bytes = field(default_factory=lambda: secrets.token_bytes(TOKEN_BYTES))
    _found: set[bytes] = field(default_factory=set[bytes])

    @property
    def complete(self) -> bool:
        """Whether `find` has been asked for every placeholder; one that was not may have gone anywhere."""
        return len(self._found) == self.count

    def find(self, data: bytes) -> tuple[int, int] | None:
        """First byte and bytes of what the placeholder `data` stands for; None for any other `raw_data`.

        A token that nobody can know in advance tells placeholders from bytes that only look like one.
        """
        if len(data) != PLACEHOLDER_BYTES or not data.startswith(self._token):
            return None
        self._found.add(data)
        return numbers(data)

    def placeholder(self, start: int, length: int) -> bytes:
        """What stands for `length` bytes of the file from `start` on."""
        self.count += 1
        return placeholder(self._token, start, length)


def parse(path: Path, *, whole: bool = False) -> tuple[onnx.ModelProto, Places]:
    """The message in a file that is not empty, and where its large weights are.

    Args:
        path: the file.
        whole: leave nothing out.

    Raises:
        OSError: the file cannot be read.
        DecodeError: it holds something else.
    """
    places = Places(path)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        memoryview(content) as view,
    ):
        if not whole and (outline := _outline(content, view, places)) is not None:
            return _parse(outline), places
        return _parse(view), Places(path)


def _parse(data: bytes | memoryview) -> onnx.ModelProto:
    if len(data) > LARGEST_FILE:
        raise DecodeError(f"{len(data)} bytes are more than a protobuf message can have")
    return onnx.ModelProto.FromString(cast(Any, data))


def _outline(content: mmap.mmap, view: memoryview, places: Places) -> bytes | None:
    """The message in wire format, with placeholders; None where the whole file is needed."""
    if len(view) > LARGEST_FILE:
        return None  # protobuf itself shall say what it thinks of that
    try:
        return b"".join(_Walk(content, view, places).message(0, len(view), MODEL)[0])
    except (NotUnderstood, IndexError):
        return None


class NotUnderstood(Exception):
    """Groups, which ONNX has none of, or no message at all."""


@dataclass
class _Walk:
    content: mmap.mmap
    view: memoryview
    places: Places

    def message(self, position: int, end: int, fields: Fields) -> tuple[list[bytes], int]:
        """Parts that make up a message with its large `raw_data` left out, and their bytes."""
        parts: list[bytes] = []
        size, copied = 0, position
        for number, start, body, after in long_fields(self.view, position, end, SMALLEST):
            if number not in fields:
                continue
            inner = fields[number]
            if inner is None:
                written, length = [self._left_out(body, after)], PLACEHOLDER_BYTES
            else:
                written, length = self.message(body, after, inner)
                if length == after - body:
                    continue
            head = varint(number << 3 | 2) + varint(length)
            parts += [bytes(self.view[copied:start]), head, *written]
            size += start - copied + len(head) + length
            copied = after
        parts.append(bytes(self.view[copied:end]))
        return parts, size + end - copied

    def _left_out(self, start: int, end: int) -> bytes:
        """A placeholder. Now and then, the pages seen so far are given back.

        Linux maps up to 2 MiB around each byte that is looked at, which over hundreds of weights adds up.
        """
        found = self.places.placeholder(start, end - start)
        if self.places.count % _GIVEN_BACK_EVERY == 0 and hasattr(mmap, "MADV_DONTNEED"):
            self.content.madvise(mmap.MADV_DONTNEED)
        return found


def long_fields(content: memoryview, position: int, end: int, smallest: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, tag, content and end of each field of `smallest` bytes and more in a message.

    Raises:
        NotUnderstood, IndexError: it has groups, or is no message.
    """
    while position < end:
        start, key = position, content[position]
        position += 1
        if key >= 0x80:
            key, position = _number(content, start)
        match key & 7:
            case 2:
                length = content[position]
                position += 1
                if length >= 0x80:
                    length, position = _number(content, position - 1)
                after = position + length
                if length >= smallest:
                    if after > end:
                        raise NotUnderstood
                    yield key >> 3, start, position, after
                position = after
            case 0:
                position = _number(content, position)[1]
            case 5:
                position += 4
            case 1:
                position += 8
            case _:
                raise NotUnderstood
        if key < 8:
            raise NotUnderstood
    if position != end:
        raise NotUnderstood


def _number(content: memoryview, position: int) -> tuple[int, int]:
    """A variable-length number of at most ten bytes, and what comes after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise NotUnderstood


def placeholder(token: bytes, first: int, second: int) -> bytes:
    """`PLACEHOLDER_BYTES` that carry two numbers."""
    return token + first.to_bytes(_NUMBER_BYTES, "little") + second.to_bytes(_NUMBER_BYTES, "little")


def numbers(placeholder: bytes) -> tuple[int, int]:
    """The numbers that a placeholder carries."""
    first, second = placeholder[TOKEN_BYTES:-_NUMBER_BYTES], placeholder[-_NUMBER_BYTES:]
    return int.from_bytes(first, "little"), int.from_bytes(second, "little")


def varint(number: int) -> bytes:
    """A number in the wire format: seven bits per byte, the lowest first."""
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
