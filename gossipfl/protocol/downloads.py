"""One payload on its way in: a buffer of the announced size, filled by verified chunks in any order of requests.

Chunks are asked for in a window, so what a peer can make me hold is what I asked it for.  A cut link loses only the
chunks that were half there; the rest waits for the next link.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from gossipfl.errors import PeerError
from gossipfl.wire.chunks import HASH_BYTES, BadChunk, Piece, chunk_bytes_for, chunk_count
from gossipfl.wire.manifest import Manifest, Signed

_START_S = 60.0                      # so long any download may take, however short it is


class Unsolicited(PeerError):
    """Bytes that nobody asked for."""


@dataclass(slots=True)
class Announced:
    """An update that a neighbor offers."""

    signed: Signed[Manifest]
    hashes: bytes

    @property
    def manifest(self) -> Manifest:
        return self.signed.document


@dataclass(slots=True)
class Download:
    """The chunks of one announced payload."""

    offer: Announced
    started_at: float                                            # or asked for again, after a cut
    moved_at: float = field(init=False)                          # when it was asked for, or a byte of it came
    transfer: int = 0
    buffer: memoryview = field(init=False)
    chunk_bytes: int = field(init=False)
    missing: deque[int] = field(init=False)                      # not requested
    filled: dict[int, int] = field(default_factory=dict)         # requested chunk -> bytes received
    hashing: set[int] = field(default_factory=set)
    verified: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.moved_at = self.started_at
        size = self.offer.manifest.size
        self.chunk_bytes = chunk_bytes_for(size)
        # Not zeroed, and on large pages where the system has them: bytearray(40 MB) alone takes as long as hashing it.
        # Nobody sees what lies there before: a download is handed on when every byte of it was received and verified.
        self.buffer = np.empty(size, np.uint8).data
        self.missing = deque(range(chunk_count(size, self.chunk_bytes)))

    @property
    def is_complete(self) -> bool:
        return not self.missing and not self.filled and not self.hashing

    def is_slower(self, bytes_per_s: float, now: float) -> bool:
        """Does it take longer than at this speed, and a while to get going?"""
        return now - self.started_at >= _START_S + len(self.buffer) / bytes_per_s

    def request(self, window_bytes: int) -> tuple[int, ...]:
        """The next chunks to want, so that no more than `window_bytes` (and always one chunk) are on their way."""
        room = max(window_bytes // self.chunk_bytes, 1) - len(self.filled)
        if room <= 0 or (len(self.filled) > 0 and room < max(window_bytes // self.chunk_bytes // 2, 1)):
            return ()                                            # asked for in halves of the window, not one by one
        chunks = tuple(self.missing.popleft() for _ in range(min(room, len(self.missing))))
        self.filled.update(dict.fromkeys(chunks, 0))
        return chunks

    def receive(self, piece: Piece) -> memoryview | None:
        """Put a piece in its place; the whole chunk if that completes it.  Raises Unsolicited or BadChunk."""
        received = self.filled.get(piece.chunk)
        if received is None:
            raise Unsolicited(f"chunk {piece.chunk} was not asked for, or is here already")
        start = piece.chunk * self.chunk_bytes
        length = min(self.chunk_bytes, len(self.buffer) - start)
        if piece.offset != received or received + len(piece.data) > length:
            where = f"bytes {piece.offset}+{len(piece.data)} of chunk {piece.chunk}"
            raise BadChunk(f"{where}; {received} of {length} are here")
        end = received + len(piece.data)
        self.buffer[start + received : start + end] = piece.data
        self.filled[piece.chunk] = end
        if end < length:
            return None
        del self.filled[piece.chunk]
        self.hashing.add(piece.chunk)
        return self.buffer[start : start + length]

    def expected_hash(self, chunk: int) -> bytes:
        return self.offer.hashes[chunk * HASH_BYTES : (chunk + 1) * HASH_BYTES]

    def hashed(self, chunk: int, ok: bool) -> None:
        """A chunk's hash is known.  Raises BadChunk if it is not the announced one; it will be asked for again."""
        if chunk not in self.hashing:
            return                                               # of a download that was given up and begun again
        self.hashing.discard(chunk)
        if not ok:
            self.missing.appendleft(chunk)
            raise BadChunk(f"chunk {chunk} does not have the announced hash")
        self.verified.add(chunk)

    def cut(self) -> None:
        """The link is gone: what was under way must be asked for again."""
        self.missing.extendleft(sorted(self.filled, reverse=True))
        self.filled.clear()
