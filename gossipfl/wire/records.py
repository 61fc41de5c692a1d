"""From a stream of bytes to frames: libp2p-noise records, one frame in each.

    record = length u16 big endian | ciphertext          ciphertext = AEAD(frame), at most 65,535 bytes
    frame  = type u8 | flags u8 | id u32 big endian | body
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from gossipfl.errors import PeerError

RECORD_BYTES_MAX = 65_535
TAG_BYTES = 16
_HEADER = struct.Struct(">BBI")
FRAME_BODY_MAX = RECORD_BYTES_MAX - TAG_BYTES - _HEADER.size


class BadFrame(PeerError):
    """A decrypted record too short to hold a frame header."""


class Frame(NamedTuple):
    """One message of the protocol: control (messages.py) or a piece of a chunk (chunks.py)."""

    type: int
    flags: int
    id: int
    body: bytes | memoryview
