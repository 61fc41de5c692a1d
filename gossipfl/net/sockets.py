"""What is asked of TCP beyond sending and receiving: notice the dead, keep queues short, end well.

Options that a platform lacks are left out; the protocol's own PING covers for them (protocol/links.py), more slowly.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from gossipfl.config import KIB

_OPTIONS = (
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 15),                 # seconds; keepalive sees the death of an idle link ...
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 5),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 20_000),         # milliseconds; ... and this one of a busy link
    ("IPPROTO_TCP", "TCP_NOTSENT_LOWAT", 128 * KIB),     # what the kernel holds unsent goes before any control frame
)


def tune(sock: socket.socket) -> None:
    """Set what this platform knows of the options that notice dead links soon and keep the kernel's queue short."""
    for level, name, value in _OPTIONS:
        if hasattr(socket, name):
            with contextlib.suppress(OSError):           # some sandboxes name options that they do not have
                sock.setsockopt(getattr(socket, level), getattr(socket, name), value)


def remote(transport: asyncio.BaseTransport) -> tuple[str, int]:
    """The other end's host and port; an IPv4 client of a dual-stack listener by its IPv4 address."""
    # There is no name any more if the other end reset the connection before it was looked at.
    host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
    return host.removeprefix("::ffff:"), port


def end_half(transport: asyncio.Transport) -> None:
    """Nothing more is sent after what waits; the other end may still speak."""
    try:
        transport.write_eof()
    except OSError:                                      # it was reset a moment ago, and the loop does not know yet
        transport.abort()


def reset(transport: asyncio.Transport) -> None:
    """End it with a reset: the other end knows that this was a refusal, and nothing lingers here."""
    with contextlib.suppress(OSError):
        linger_for_none = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_none)
    transport.abort()
