"""Listens, dials, and keeps the table of links; tells everything to one sink.

Decides who may try (half-open connections are few, and the oldest gives way), which cipher is tried first, and how
long a handshake may take.  Whom to dial and which of two links to keep is decided in protocol/; bytes on an
established link are net/link.py's.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from gossipfl.config import KIB, LimitsConfig
from gossipfl.errors import GossipflError, PeerError, StateError
from gossipfl.federation import Federation
from gossipfl.identity import Identity, PeerId
from gossipfl.net import addresses
from gossipfl.net.connection import Connection, HandshakeCut, Unanswered
from gossipfl.net.link import Link, Sink
from gossipfl.wire.ciphers import KEY_BYTES, Suite, available_suites
from gossipfl.wire.handshake import Channel, Credentials, Dialer, Listener
from gossipfl.wire.messages import Close, CloseCode, encode
from gossipfl.wire.records import pack_frame, pack_record

_RECEIVE_BYTES = 512 * KIB                               # one buffer for all links, read in one call
_BACKLOG = 128


class TooManyHandshakes(PeerError):
    """More connections than allowed had proved nothing; the oldest made room."""


class HandshakeTimeout(PeerError):
    """Connected, and did not prove anything in time."""


class TooManyLinks(PeerError):
    """Every place is taken."""


class Transport:
    """The sockets of one peer.  Use inside a running loop; `aclose` leaves nothing open."""

    def __init__(
        self, identity: Identity, federation: Federation, limits: LimitsConfig, sink: Sink,
        *, suites: Sequence[Suite] = (),
    ) -> None:  # fmt: skip
        """suites: those to use, best first; empty = all that this processor has."""
        self._limits, self._sink = limits, sink
        self._suites = tuple(suites) or available_suites()
        static = secrets.token_bytes(KEY_BYTES)
        self._credentials = Credentials(identity, federation.fingerprint, federation.psk, static)
        self._buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._servers: list[asyncio.Server] = []
        self._half_open: dict[Connection, asyncio.TimerHandle] = {}      # accepted, oldest first
        self._dials: set[asyncio.Task[None]] = set()
        self._links: dict[int, Link] = {}
        self._closed = False
        self._idle = asyncio.Event()                     # nothing is open: no link, no half-open connection
        self._idle.set()

    @property
    def links(self) -> list[Link]:
        """Every link that is up or closing."""
        return list(self._links.values())

    # ---------------------------------------------------------------------------------------------- listening

    async def listen(self, address: str) -> list[str]:
        """Accept connections at ``host:port``; port 0 is any free one.  Returns the addresses bound.

        ``[::]`` also accepts IPv4 where the system allows it, and then both wildcards are returned.
        Raises StateError if the place cannot be had, ConfigError if it is no address.
        """
        host, port, _ = addresses.parse(address)
        try:
            server = await self._open_server(host, port)
        except OSError as error:
            raise StateError(_listen_remedy(host, port, error)) from None
        self._servers.append(server)
        return [address for bound in server.sockets for address in _bound_addresses(bound)]

    async def _open_server(self, host: str, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if host == "::" and socket.has_dualstack_ipv6():
            both = socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True)
            return await loop.create_server(self._accept, sock=both, backlog=_BACKLOG)
        return await loop.create_server(self._accept, host, port, backlog=_BACKLOG)

    def _accept(self) -> Connection:
        machine = Listener(self._credentials, self._suites, secrets.token_bytes(KEY_BYTES))
        return Connection(machine, made=self._hold, done=self._admit, failed=self._refused, lost=self._release)

    def _hold(self, connection: Connection) -> None:
        """Give an accepted connection a place and a deadline; the oldest one loses its place if there is none."""
        timeout = HandshakeTimeout(f"proved nothing within {self._limits.handshake_s:g} s")
        timer = asyncio.get_running_loop().call_later(self._limits.handshake_s, connection.refuse, timeout)
        self._half_open[connection] = timer
        self._idle.clear()
        same_host = [other for other in self._half_open if other.host == connection.host]
        # A real handshake takes milliseconds.  Whoever has been here longest is the likeliest to be holding the place.
        if self._closed:
            connection.refuse(HandshakeCut("this peer leaves"))
        elif len(same_host) > self._limits.handshakes_per_host_max:
            self._evict(same_host[0], f"more than {len(same_host) - 1} unproven connections of one address")
        elif len(self._half_open) > self._limits.handshakes_max:
            self._evict(next(iter(self._half_open)), f"more than {len(self._half_open) - 1} unproven connections")

    def _evict(self, connection: Connection, reason: str) -> None:
        connection.refuse(TooManyHandshakes(reason))
        self._release(connection)

    def _refused(self, connection: Connection, error: GossipflError) -> None:
        assert isinstance(error, PeerError)
        self._sink.refused(connection.address, error)

    def _release(self, connection: Connection) -> None:
        """The connection is gone or has become a link; it no longer holds a place."""
        timer = self._half_open.pop(connection, None)
        if timer is not None:
            timer.cancel()
        self._note_idle()

    def _admit(self, connection: Connection, channel: Channel) -> None:
        if len(self._links) < self._limits.links_max:
            self._link_up(connection, channel, is_dialer=False)
            self._release(connection)
            return
        error = TooManyLinks(f"all {self._limits.links_max} links are taken")
        busy = encode(Close(code=CloseCode.BUSY, text=str(error)))
        connection.leave(pack_record(channel.sealer.seal(pack_frame(busy))))
        self._sink.refused(connection.address, error)

    # ------------------------------------------------------------------------------------------------ dialing

    def dial(self, address: str, expected: PeerId | None = None) -> None:
        """Try to reach whoever listens at ``host:port``: ends in `link_up`, or in `dial_failed` with the reason.

        With ``PEERID@host:port`` the peer is expected that the address names.
        """
        task = asyncio.get_running_loop().create_task(self._dial(address, expected))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _dial(self, address: str, expected: PeerId | None) -> None:
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await self._dial_suites(address, expected)
        except TimeoutError:
            self._sink.dial_failed(address, f"no answer within {self._limits.handshake_s:g} s")
        except OSError as error:
            self._sink.dial_failed(address, error.strerror or str(error))
        except GossipflError as error:
            self._sink.dial_failed(address, str(error))

    async def _dial_suites(self, address: str, expected: PeerId | None) -> None:
        host, port, named = addresses.parse(address)
        expected = expected or named
        *others, last = self._suites
        for suite in others:
            with suppress(Unanswered):
                return await self._dial_once(address, host, port, suite, expected)
        await self._dial_once(address, host, port, last, expected)

    async def _dial_once(self, address: str, host: str, port: int, suite: Suite, expected: PeerId | None) -> None:
        if len(self._links) >= self._limits.links_max:
            raise TooManyLinks(f"all {self._limits.links_max} links are taken")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[None] = loop.create_future()
        machine = Dialer(self._credentials, suite, secrets.token_bytes(KEY_BYTES), expected)
        done, failed = partial(self._dialed, outcome, address), partial(_fail, outcome)
        transport, _ = await loop.create_connection(lambda: Connection(machine, done=done, failed=failed), host, port)
        try:
            await outcome
        except asyncio.CancelledError:
            transport.abort()
            raise

    def _dialed(
        self, outcome: asyncio.Future[None], address: str, connection: Connection, channel: Channel
    ) -> None:
        """A dialed link is known by the address that was dialed, be it a name: that is what will be dialed again."""
        if not outcome.done():                           # else it was given up a moment ago, and is being aborted
            connection.address = address
            self._link_up(connection, channel, is_dialer=True)
            outcome.set_result(None)

    def _link_up(self, connection: Connection, channel: Channel, *, is_dialer: bool) -> None:
        assert connection.transport is not None
        link = Link(
            channel, connection.transport, is_dialer=is_dialer, address=connection.address, limits=self._limits,
            sink=self._sink, buffer=self._buffer, lost=self._link_lost,
            bytes_sent=connection.bytes_sent, bytes_received=connection.bytes_received,
        )  # fmt: skip
        connection.transport.set_protocol(link)
        self._links[link.number] = link
        self._idle.clear()
        self._sink.link_up(link)
        link.received(channel.rest)

    def _link_lost(self, link: Link) -> None:
        del self._links[link.number]
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._links and not self._half_open:
            self._idle.set()

    # ------------------------------------------------------------------------------------------------ closing

    async def aclose(self) -> None:
        """Stop listening and dialing, let links flush, and come back when nothing is open: after CLOSE_S at most."""
        self._closed = True
        for server in self._servers:
            server.close()
        for task in self._dials:
            task.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)
        for connection in list(self._half_open):
            connection.refuse(HandshakeCut("this peer leaves"))
        for link in self.links:
            link.close()
        await asyncio.sleep(0)                           # a dial given up above closes its socket one turn later
        await self._idle.wait()


def _fail(outcome: asyncio.Future[None], _: Connection, error: GossipflError) -> None:
    if not outcome.done():
        outcome.set_exception(error)


def _bound_addresses(bound: socket.socket) -> list[str]:
    host, port = bound.getsockname()[:2]
    is_dual = bound.family == socket.AF_INET6 and not bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    hosts = ["0.0.0.0", host] if is_dual and host == "::" else [host]
    return [str(addresses.Address(host, port)) for host in hosts]


def _listen_remedy(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; stop the program that has it, or choose another port (0 = any free)"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs privileges; choose a port from 1024 up (0 = any free)"
    reason = error.strerror or str(error)
    return f"cannot listen on {host}, port {port}: {reason}; choose an address of this machine, e.g. 0.0.0.0:{port}"


