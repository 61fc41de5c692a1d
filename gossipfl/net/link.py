"""One authenticated connection: frames in order, sealed and opened on the event loop.

A link decides how much it hands to the kernel and how fast it lets the other end talk.  It does not read what frames
say.  Any PeerError met while its bytes are parsed or its frames are handled closes this link and nothing else.
Handshakes are net/connection.py's, the table of links net/transport.py's.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Protocol

from gossipfl.config import KIB, LimitsConfig
from gossipfl.errors import LinkError, PeerError
from gossipfl.net.queue import SendQueue
from gossipfl.net.sockets import end_half
from gossipfl.wire.ciphers import CipherState
from gossipfl.wire.handshake import Channel
from gossipfl.wire.messages import CHUNK, Close, CloseCode, encode
from gossipfl.wire.records import Frame, RecordReader, pack_frame, pack_record, parse_frame

CLOSE_S = 1.0                                            # to flush the last frames and see the other end's goodbye
HIGH_WATER_BYTES = 64 * KIB                              # waiting in user space; beyond it at most one more record
_BATCH_BYTES = 60 * KIB                                  # small records are written together up to this
_BATCHES_PER_TURN = 16                                   # then other links have theirs: about a millisecond
_TEXT_CHARACTERS = 200                                   # of an error, as told to the other end
_numbers = itertools.count(1)


class ControlTooFast(PeerError):
    """More control messages than the agreed rate."""


class ControlTooLong(PeerError):
    """A control frame over the limit."""


class Sink(Protocol):
    """Who is told; plain calls on the loop's thread.  A PeerError from `frame` closes that link as a violation."""

    def link_up(self, link: Link) -> None: ...

    def frame(self, link: Link, frame: Frame) -> None: ...

    def link_down(self, link: Link, reason: str) -> None: ...

    def dial_failed(self, address: str, reason: str) -> None: ...

    def refused(self, address: str, error: PeerError) -> None: ...


class Link(asyncio.BufferedProtocol):
    """Frames to and from one proven peer.  After `close` it delivers no frame and ignores what is sent."""

    def __init__(
        self, channel: Channel, transport: asyncio.Transport, *, is_dialer: bool, address: str, limits: LimitsConfig,
        sink: Sink, buffer: memoryview, lost: Callable[[Link], None], bytes_sent: int, bytes_received: int,
    ) -> None:  # fmt: skip
        self.number = next(_numbers)                     # unique in this process
        self.peer_id, self.is_dialer, self.address = channel.peer_id, is_dialer, address
        self.bytes_sent, self.bytes_received = bytes_sent, bytes_received       # on the wire, the handshake's included
        self.control_bytes_sent = bytes_sent
        self.fault: PeerError | None = None              # why I closed it, if the peer is to blame
        self._opener, self._sealer = channel.opener, channel.sealer
        self._transport, self._sink, self._limits, self._lost = transport, sink, limits, lost
        self._loop = asyncio.get_running_loop()
        self._buffer = buffer                            # shared by all links: it is empty between two calls
        self._reader, self._queue = RecordReader(), SendQueue(limits.send_queue_bytes_max, limits.requests_max)
        self._tokens, self._tokens_at = float(limits.control_burst), self._loop.time()
        self._reason = ""
        self._closing = self._paused = self._scheduled = False
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)

    def __repr__(self) -> str:
        return f"Link({self.number}, {self.peer_id.short}, {self.address})"

    # ------------------------------------------------------------------------------------------------ sending

    def send(self, frame: Frame) -> None:
        """Queue a control frame.  A link that cannot take more is cut."""
        if self._closing:
            return
        try:
            self._queue.push(frame)
        except LinkError as error:
            self.abort(str(error))
        else:
            self._wake()

    def send_bulk(self, transfer: int, bodies: Iterator[bytes]) -> None:
        """Queue chunk frames that are made one at a time, as the socket drains; one call per request."""
        if self._closing:
            return
        try:
            self._queue.push_bulk(transfer, bodies)
        except PeerError as error:
            self._fail(error)
        else:
            self._wake()

    def cancel_bulk(self, transfer: int) -> None:
        """Forget what is queued of a transfer."""
        self._queue.cancel_bulk(transfer)

    def close(self, final: Frame | None = None, reason: str = "closed here") -> None:
        """Send what control is queued, then `final`, and close: within CLOSE_S, read or not."""
        if self._closing:
            return
        self._closing, self._reason = True, reason
        self._queue.finish(final)
        self._loop.call_later(CLOSE_S, self._transport.abort)
        self._wake()

    def abort(self, reason: str) -> None:
        """Close at once, without a word."""
        self._reason = self._reason or reason
        self._closing = True
        self._transport.abort()

    def _wake(self) -> None:
        # One turn of the loop later, so that frames sent together are written together.
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Seal and write until the kernel is full, nothing waits, or others should have a turn."""
        self._scheduled = False
        try:
            for _ in range(_BATCHES_PER_TURN):
                if self._paused or self._transport.is_closing():
                    return
                batch = self._next_batch()
                if not batch:
                    return self._say_goodbye()
                self._transport.write(batch)
        except LinkError as error:
            self.abort(str(error))
        else:
            self._wake()

    def _next_batch(self) -> bytes:
        records: list[bytes] = []
        size = 0
        while size < _BATCH_BYTES and (frame := self._queue.pop()) is not None:
            records.append(_seal(frame, self._sealer))
            size += len(records[-1])
            if frame.type != CHUNK:
                self.control_bytes_sent += len(records[-1])
        self.bytes_sent += size
        return b"".join(records)

    def _say_goodbye(self) -> None:
        # Closing a socket that holds unread bytes resets the connection, and the reset can overtake my last frame.
        # So only my half ends here; the rest follows when the other end answers in kind, or after CLOSE_S.
        if self._closing:
            end_half(self._transport)

    # ---------------------------------------------------------------------------------------------- receiving

    def received(self, data: memoryview | bytes) -> None:
        """Open the records that `data` completes and hand on their frames."""
        try:
            for ciphertext in self._reader.feed(data):
                if self._closing:
                    return
                frame = parse_frame(self._opener.open(ciphertext))
                if frame.type != CHUNK:
                    self._screen_control(frame)
                self._sink.frame(self, frame)
        except PeerError as error:
            self._fail(error)

    def _screen_control(self, frame: Frame) -> None:
        """A token bucket for control messages, and their bound."""
        if len(frame.body) > self._limits.control_bytes_max:
            raise ControlTooLong(f"control frame of {len(frame.body)} bytes, limit is {self._limits.control_bytes_max}")
        now = self._loop.time()
        gained = (now - self._tokens_at) * self._limits.control_rate_per_s
        self._tokens, self._tokens_at = min(self._limits.control_burst, self._tokens + gained) - 1, now
        if self._tokens < 0:
            raise ControlTooFast(f"more than {self._limits.control_rate_per_s:g} control messages per second")

    def _fail(self, error: PeerError) -> None:
        self.fault = self.fault or error
        self.close(encode(Close(code=CloseCode.VIOLATION, text=str(error)[:_TEXT_CHARACTERS])), str(error))

    # ------------------------------------------------------------------------------------- called by the loop

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.bytes_received += nbytes
        if not self._closing:
            self.received(self._buffer[:nbytes])

    def eof_received(self) -> None:
        # The loop now closes my half as well, once it is flushed; the deadline is for an end that does not read.
        self.close(reason="closed by the other end")

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._queue.finish(None)
        self._lost(self)
        self._sink.link_down(self, self._reason or (f"lost: {error}" if error else "lost"))


def _seal(frame: Frame, sealer: CipherState) -> bytes:
    return pack_record(sealer.seal(pack_frame(frame)))
