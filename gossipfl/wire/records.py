"""From a stream of bytes to frames: libp2p-noise records, one frame in each.

    record = length u16 big endian | ciphertext          ciphertext = AEAD(frame), at most 65,535 bytes
    frame  = type u8 | flags u8 | id u32 big endian | body

`RecordReader` and `pack_record` are mirrors, so are `pack_frame` and `parse_frame`.  What a frame's type means is
wire/messages.py's matter, which frame goes first net/queue.py's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from gossipfl.errors import PeerError
from gossipfl.wire.ciphers import TAG_BYTES

RECORD_BYTES_MAX = 65_535
_LENGTH_BYTES = 2
_HEADER = struct.Struct(">BBI")
FRAME_BODY_MAX = RECORD_BYTES_MAX - TAG_BYTES - _HEADER.size
RECORD_OVERHEAD_BYTES = _LENGTH_BYTES + TAG_BYTES + _HEADER.size    # what a frame costs on the wire beside its body


class BadFrame(PeerError):
    """A decrypted record too short to hold a frame header."""


class Frame(NamedTuple):
    """One message of the protocol: control (messages.py) or a piece of a chunk (chunks.py)."""

    type: int
    flags: int
    id: int
    body: bytes | memoryview


class RecordReader:
    """Cuts a stream into records, wherever it was split.  Holds less than one record between two calls."""

    def __init__(self) -> None:
        self._partial = bytearray()                      # the beginning of a record, length included

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """The ciphertexts that `data` completes, one at a time; exhaust them before `data` or the reader change.

        Whole records are cut straight from `data`; only what the last one lacks is copied and kept.
        """
        view = memoryview(data)
        at = 0
        if self._partial:
            at = self._complete_partial(view)
            if self._is_whole():
                yield bytes(memoryview(self._partial)[_LENGTH_BYTES:])
                self._partial = bytearray()
        while len(view) - at >= _LENGTH_BYTES:
            end = at + _LENGTH_BYTES + (view[at] << 8 | view[at + 1])
            if end > len(view):
                break
            yield bytes(view[at + _LENGTH_BYTES : end])
            at = end
        self._partial += view[at:]

    def _complete_partial(self, view: memoryview) -> int:
        """Move to the partial record what it lacks, as far as `view` goes.  Returns how much that was."""
        lacking_length = max(0, _LENGTH_BYTES - len(self._partial))
        self._partial += view[:lacking_length]
        if len(self._partial) < _LENGTH_BYTES:
            return len(view)
        lacking = self._size() - len(self._partial)
        self._partial += view[lacking_length : lacking_length + lacking]
        return min(len(view), lacking_length + lacking)

    def _is_whole(self) -> bool:
        return len(self._partial) >= _LENGTH_BYTES and len(self._partial) == self._size()

    def _size(self) -> int:
        return _LENGTH_BYTES + int.from_bytes(self._partial[:_LENGTH_BYTES], "big")


def pack_record(ciphertext: bytes) -> bytes:
    """`ciphertext` behind its length."""
    assert len(ciphertext) <= RECORD_BYTES_MAX
    return len(ciphertext).to_bytes(_LENGTH_BYTES, "big") + ciphertext


def pack_frame(frame: Frame) -> bytes:
    """The plaintext of a record."""
    assert len(frame.body) <= FRAME_BODY_MAX
    return b"".join((_HEADER.pack(frame.type, frame.flags, frame.id), frame.body))


def parse_frame(plaintext: bytes) -> Frame:
    """The frame in a record; its body is a view.  Raises BadFrame if there is no room for a header."""
    if len(plaintext) < _HEADER.size:
        raise BadFrame(f"a record of {len(plaintext)} bytes holds no frame")
    code, flags, transfer = _HEADER.unpack_from(plaintext)
    return Frame(code, flags, transfer, memoryview(plaintext)[_HEADER.size :])
