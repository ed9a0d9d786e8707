"""Protobuf messages: copies without their heavy fields, and three-way merges.

The in-memory form cannot hold everything a message can say (unknown fields, repeated metadata keys,
denotations, a field set to its default ...). For every message we therefore compare what was read
with what the in-memory form writes back, and keep both where they differ. On saving, whatever nobody
changed in memory is taken from the original, so a field that this code has never heard of survives.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import onnx
from google.protobuf import unknown_fields
from google.protobuf.message import Message

from ncgopt.model.wire import varint

M = TypeVar("M", bound=Message)

_KEY = "ncgopt.original"


@dataclass(frozen=True)
class Original:
    """A message as read, and as the in-memory form wrote it back right after reading."""

    read: bytes
    written: bytes


def encode(message: Message) -> bytes:
    """The message as bytes, equal bytes for equal content (unknown fields and presence count)."""
    return message.SerializePartialToString(deterministic=True)


def header(message: M, without: Iterable[str]) -> M:
    """A copy of `message` that leaves out the fields named in `without`, keeping unknown fields.

    The fields left out are not touched, so this costs nothing for weights and nodes.
    """
    dropped = frozenset(without)
    copy = type(message)()
    for field, value in cast("list[tuple[Any, Any]]", message.ListFields()):
        if field.name in dropped:
            continue
        if isinstance(value, Message):
            getattr(copy, field.name).CopyFrom(value)
        elif hasattr(value, "MergeFrom"):
            getattr(copy, field.name).MergeFrom(value)
        else:
            setattr(copy, field.name, value)
    unknown = b"".join(_encode_unknown(field) for field in cast(Any, unknown_fields).UnknownFieldSet(message))
    if unknown:
        copy.MergeFromString(unknown)
    return copy


def remember(meta: MutableMapping[str, Any], read: Message, written: Message) -> None:
    """Keep `read` in `meta` if the in-memory form writes something else."""
    original = compare(read, written)
    if original is not None:
        meta[_KEY] = original


def compare(read: Message, written: Message) -> Original | None:
    """What has to be kept of `read`; None where `written` says the same."""
    read_bytes, written_bytes = encode(read), encode(written)
    return None if read_bytes == written_bytes else Original(read_bytes, written_bytes)


def restore(meta: MutableMapping[str, Any], current: Message) -> None:
    """Put back into `current` what `remember` kept and nobody changed since."""
    if _KEY in meta:
        revert(meta[_KEY], current)


def original(meta: MutableMapping[str, Any], empty: M) -> M:
    """What `remember` kept in `meta`, read into `empty`; unchanged where nothing had to be kept."""
    if _KEY in meta:
        empty.ParseFromString(meta[_KEY].read)
    return empty


def revert(original: Original | None, current: Message) -> None:
    """Put back into `current` what differs between `original.read` and `original.written`."""
    if original is None:
        return
    if encode(current) == original.written:
        current.ParseFromString(original.read)
        return
    read, written = type(current).FromString(original.read), type(current).FromString(original.written)
    _merge(read, written, current)
    current.CopyFrom(read)


def differing_fields(a: Message, b: Message) -> list[str]:
    """Names of the fields in which two messages of one type differ."""
    return [field.name for field in a.DESCRIPTOR.fields if not _same(a, b, field.name)]


def _merge(result: Message, written: Message, current: Message) -> None:
    """Carry every difference between `written` and `current` over to `result`."""
    for field in result.DESCRIPTOR.fields:
        name = field.name
        if _same(written, current, name):
            continue
        value = getattr(current, name)
        if isinstance(value, Message):
            if all(m.HasField(name) for m in (result, written, current)):
                _merge(getattr(result, name), getattr(written, name), value)
            elif current.HasField(name):
                getattr(result, name).CopyFrom(value)
            else:
                result.ClearField(name)
        elif hasattr(value, "MergeFrom"):
            _merge_repeated(result, getattr(written, name), value, name)
        elif current.HasField(name):
            setattr(result, name, value)
        else:
            result.ClearField(name)


def _merge_repeated(result: Message, written: Any, current: Any, name: str) -> None:
    target = getattr(result, name)
    if current and isinstance(current[0], onnx.StringStringEntryProto):
        _merge_entries(target, {e.key: e.value for e in written}, {e.key: e.value for e in current})
    elif current and isinstance(current[0], Message) and len(target) == len(written) == len(current):
        for result_item, written_item, current_item in zip(target, written, current, strict=True):
            _merge(result_item, written_item, current_item)
    else:
        result.ClearField(name)
        getattr(result, name).MergeFrom(current)


def _merge_entries(target: Any, written: dict[str, str], current: dict[str, str]) -> None:
    """Apply changes to key-value entries, keeping the order and repeated keys of the rest."""
    unchanged = {key for key, value in current.items() if written.get(key, value) == value}
    kept = {entry.key for entry in target} & unchanged
    for index in reversed(range(len(target))):
        if target[index].key not in kept:
            del target[index]
    for key, value in current.items():
        if key not in kept:
            target.add(key=key, value=value)


def _same(a: Message, b: Message, name: str) -> bool:
    left, right = getattr(a, name), getattr(b, name)
    if isinstance(left, Message):
        return a.HasField(name) == b.HasField(name) and encode(left) == encode(right)
    if hasattr(left, "MergeFrom"):
        if len(left) != len(right):
            return False
        if len(left) and isinstance(left[0], Message):
            return all(encode(x) == encode(y) for x, y in zip(left, right, strict=True))
        return list(left) == list(right)
    return a.HasField(name) == b.HasField(name) and left == right


def _encode_unknown(field: Any) -> bytes:
    """One unknown field in wire format (protobuf encoding specification, wire types 0 to 5)."""
    tag = varint(field.field_number << 3 | field.wire_type)
    match field.wire_type:
        case 0:
            return tag + varint(field.data)
        case 1:
            return tag + field.data.to_bytes(8, "little")
        case 2:
            return tag + varint(len(field.data)) + field.data
        case 3:
            inner = b"".join(_encode_unknown(item) for item in field.data)
            return tag + inner + varint(field.field_number << 3 | 4)
        case _:
            return tag + field.data.to_bytes(4, "little")
