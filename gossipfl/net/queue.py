"""Which frame goes next over one link: liveness before control before bulk, transfers in turn.

Bulk is iterators, so nothing of a chunk exists before its turn.  Bulk keeps a floor of about a tenth of the bytes, so
that a talkative federation cannot starve a transfer.  When a frame may go is net/link.py's matter.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from gossipfl.errors import LinkError, PeerError
from gossipfl.wire.messages import CHUNK, TYPES, Close, Ping, Pong
from gossipfl.wire.records import FRAME_BODY_MAX, RECORD_BYTES_MAX, RECORD_OVERHEAD_BYTES, Frame

LIVENESS = frozenset(code for code, message in TYPES.items() if message in (Ping, Pong, Close))
_CONTROL_RUN_BYTES = 9 * RECORD_BYTES_MAX                # control goes before waiting bulk for so long: 9 of 10 bytes


class QueueOverflow(LinkError):
    """The other end reads slower than there is news for it."""


class TooManyRequests(PeerError):
    """The other end asked for chunks again and again without taking what it asked for."""


class SendQueue:
    """What waits to be sent over one link."""

    def __init__(self, bytes_max: int, requests_max: int = 1024) -> None:
        self._bytes_max, self._requests_max = bytes_max, requests_max
        self._bytes = 0                                  # of liveness and control frames, as on the wire
        self._liveness: deque[Frame] = deque()
        self._control: deque[Frame] = deque()
        self._bulk: OrderedDict[int, deque[Iterator[bytes]]] = OrderedDict()
        self._requests = 0
        self._control_run = 0                            # bytes of control sent since bulk began to wait

    def push(self, frame: Frame) -> None:
        """Queue a control frame.  Raises QueueOverflow."""
        assert len(frame.body) <= FRAME_BODY_MAX         # here, where the stack still tells who made it
        self._bytes += RECORD_OVERHEAD_BYTES + len(frame.body)
        if self._bytes > self._bytes_max:
            raise QueueOverflow(f"{self._bytes} bytes of control wait for a slow link, limit is {self._bytes_max}")
        (self._liveness if frame.type in LIVENESS else self._control).append(frame)

    def push_bulk(self, transfer: int, bodies: Iterator[bytes]) -> None:
        """Queue the frame bodies of one request; a transfer's requests are served in order.  Raises TooManyRequests."""
        if self._requests >= self._requests_max:
            raise TooManyRequests(f"more than {self._requests_max} requests for chunks wait on one link")
        self._requests += 1
        self._bulk.setdefault(transfer, deque()).append(bodies)

    def cancel_bulk(self, transfer: int) -> None:
        self._requests -= len(self._bulk.pop(transfer, ()))

    def finish(self, final: Frame | None) -> None:
        """Forget bulk, and let `final` be the last frame of all, whatever its type and the bound."""
        self._bulk.clear()
        self._requests = 0
        if final is not None:
            self._bytes += RECORD_OVERHEAD_BYTES + len(final.body)
            self._control.append(final)

    def pop(self) -> Frame | None:
        """The next frame, or None if nothing waits."""
        if self._liveness:
            return self._popped(self._liveness)
        if self._control and not (self._bulk and self._control_run >= _CONTROL_RUN_BYTES):
            return self._popped(self._control)
        frame = self._next_piece()
        self._control_run = 0
        return frame or (self._popped(self._control) if self._control else None)

    def _popped(self, queue: deque[Frame]) -> Frame:
        frame = queue.popleft()
        size = RECORD_OVERHEAD_BYTES + len(frame.body)
        self._bytes -= size
        self._control_run = self._control_run + size if self._bulk else 0
        return frame

    def _next_piece(self) -> Frame | None:
        """A chunk frame of the transfer whose turn it is, or None if no request has anything left."""
        while self._bulk:
            transfer, requests = next(iter(self._bulk.items()))
            body = next(requests[0], None)
            if body is not None:
                self._bulk.move_to_end(transfer)
                return Frame(CHUNK, 0, transfer, body)
            requests.popleft()
            self._requests -= 1
            if not requests:
                del self._bulk[transfer]
        return None
