"""Files written from a message without its large weights, and these one at a time.

A message is made and serialized with a short placeholder for each large tensor; where a placeholder
stands, the bytes of its tensor are written, and the lengths of all messages around it are raised. So a
file has the bytes that protobuf would have written, and no more than one tensor is in memory.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

import onnx
import onnx_ir as ir

from ncgopt.model import wire
from ncgopt.model.ondisk import FileTensor
from ncgopt.model.tensors import is_raw, pieces, tensor_bytes, write_header, write_tensor

Part: TypeAlias = memoryview | bytes | ir.TensorProtocol
"""Bytes, or a tensor whose `raw_data` come next."""

_COPIED_AT_ONCE = 1 << 26
_SENT_AT_ONCE = 1 << 26
_HASHED_ASIDE = 1 << 20
"""Bytes from which on a tensor is hashed by a thread of its own while the system copies it."""


class Holes:
    """Tensors that were left out of a message."""

    def __init__(self) -> None:
        self._token = secrets.token_bytes(wire.TOKEN_BYTES)
        self._tensors: list[ir.TensorProtocol] = []

    def write(self, tensor: ir.TensorProtocol) -> onnx.TensorProto:
        """The message of a tensor, with a placeholder for its elements where these are large."""
        if not is_raw(tensor) or tensor_bytes(tensor) < wire.SMALLEST:
            return write_tensor(tensor, embed=True)
        proto = write_header(tensor)
        proto.raw_data = wire.placeholder(self._token, len(self._tensors), tensor_bytes(tensor))
        self._tensors.append(tensor)
        return proto

    def fill(self, outline: onnx.ModelProto) -> Filled:
        """The message with its tensors put in again; only of a message that `write` made tensors for."""
        content = outline.SerializeToString(deterministic=True)
        found: list[int] = []
        position = content.find(self._token)
        while position >= 0:
            found.append(position)
            position = content.find(self._token, position + wire.PLACEHOLDER_BYTES)
        parts, size = _Filling(memoryview(content), found, self._tensors).message(0, len(content), wire.MODEL)
        return Filled(parts, size)


@dataclass(frozen=True)
class Filled:
    """A message in wire format: what it consists of, and its bytes."""

    parts: list[Part]
    size: int

    def write(self, output: Output) -> None:
        """Write it; tensors are read one at a time.

        Raises:
            OSError: the file cannot be written, or that of a tensor cannot be read.
        """
        for part in self.parts:
            if isinstance(part, memoryview | bytes):
                output.write(part)
            else:
                output.copy(part)


@dataclass
class _Filling:
    content: memoryview
    holes: list[int]
    tensors: list[ir.TensorProtocol]

    def message(self, position: int, end: int, fields: wire.Fields) -> tuple[list[Part], int]:
        parts: list[Part] = []
        size, copied = 0, position
        for number, start, body, after in wire.long_fields(self.content, position, end, wire.PLACEHOLDER_BYTES):
            if number not in fields or not self._has_hole(body, after):
                continue
            inner = fields[number]
            if inner is None:
                index, length = wire.numbers(bytes(self.content[body:after]))
                written: list[Part] = [self.tensors[index]]
            else:
                written, length = self.message(body, after, inner)
            head = wire.varint(number << 3 | 2) + wire.varint(length)
            parts += [self.content[copied:start], head, *written]
            size += start - copied + len(head) + length
            copied = after
        parts.append(self.content[copied:end])
        return parts, size + end - copied

    def _has_hole(self, start: int, end: int) -> bool:
        index = bisect.bisect_left(self.holes, start)
        return index < len(self.holes) and self.holes[index] < end


class Output:
    """A file that is written from its start.

    Args:
        file: the open file, empty.
        hashed: whether `sha256` will be asked for; without, all ranges of other files are copied by the
            system, which on some file systems costs nothing at all; with it, only the long ones.

    Attributes:
        position: bytes so far.
    """

    def __init__(self, file: BinaryIO, *, hashed: bool = True) -> None:
        self._file = file
        self._digest = hashlib.sha256() if hashed else None
        self._sent = 0
        self._system_copies = True
        self.position = 0

    @property
    def sha256(self) -> str:
        """Of everything written, in hexadecimal."""
        if self._digest is None:
            raise ValueError("this file is not hashed")
        return self._digest.hexdigest()

    def write(self, data: bytes | memoryview) -> None:
        """Write bytes."""
        self._file.write(data)
        self.position += len(data)
        if self._digest is not None:
            self._digest.update(data)
            if self.position - self._sent >= _SENT_AT_ONCE:
                self._send()

    def copy(self, tensor: ir.TensorProtocol) -> None:
        """Write the elements of a tensor."""
        if isinstance(tensor, FileTensor) and self._copied(tensor):
            return
        for piece in pieces(tensor):
            self.write(piece)

    def _send(self) -> None:
        """Have the disk begin with what is complete: whoever asks for a digest flushes the file in the end."""
        advise = getattr(os, "posix_fadvise", None)
        if advise is not None:
            self._file.flush()
            with contextlib.suppress(OSError):  # not every file system takes advice
                advise(self._file.fileno(), self._sent, self.position - self._sent, os.POSIX_FADV_DONTNEED)
        self._sent = self.position

    def _copied(self, tensor: FileTensor) -> bool:
        """Have the system copy a tensor, and a thread hash it at the same time; False, and nothing written, if not."""
        if self._digest is None:
            return self._copy_range(tensor)
        if tensor.length < _HASHED_ASIDE or not self._system_copies:
            return False
        digest = self._digest.copy()

        def update() -> None:
            for piece in pieces(tensor):
                digest.update(piece)

        with ThreadPoolExecutor(1) as pool:
            hashing = pool.submit(update)
            self._system_copies = self._copy_range(tensor)
            if not self._system_copies:
                return False
            hashing.result()
        self._digest = digest
        with tensor.file.open():  # raises where it changed in between: what was hashed is then not what was copied
            self._send()
        return True

    def _copy_range(self, tensor: FileTensor) -> bool:
        """Let the system copy; False, and nothing written, where it cannot (other file systems, not Linux)."""
        copy = getattr(os, "copy_file_range", None)
        if copy is None:
            return False
        self._file.flush()
        done = 0
        with tensor.file.open() as source:
            while done < tensor.length:
                count = min(_COPIED_AT_ONCE, tensor.length - done)
                places = tensor.offset + done, self.position + done
                try:
                    count = copy(source.fileno(), self._file.fileno(), count, *places)
                except OSError:
                    count = 0
                if not count:  # whatever the reason is, reading and writing will name it
                    return False
                done += count
        self.position += done
        self._file.seek(self.position)
        return True
