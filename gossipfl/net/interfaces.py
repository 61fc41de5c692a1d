"""The network interfaces on which mDNS can be spoken.

Decides which interfaces those are now; net/discovery.py asks again every few seconds, because they come and go.
Ignores what is said on them, and which addresses others may dial: net/addresses.py.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

INTERFACES_MAX = 16                              # a host full of containers has hundreds; Linux lets a socket join 20
_GROUP_V4 = socket.inet_aton("224.0.0.251")      # RFC 6762, section 3
_GROUP_V6 = socket.inet_pton(socket.AF_INET6, "ff02::fb")

log = logging.getLogger(__name__)


class Interface(NamedTuple):
    """One IP version on one interface.  A new index under an old address is another interface."""

    name: str
    ifindex: int
    address: str                                 # of the interface; an IPv6 group is joined by index

    @property
    def is_v6(self) -> bool:
        return ":" in self.address

    @property
    def choice(self) -> str | int:
        """How zeroconf wants it named."""
        return self.ifindex if self.is_v6 else self.address


def multicast_interfaces(addresses: tuple[str, ...]) -> list[Interface]:
    """At most INTERFACES_MAX usable interfaces, one entry per IP version; those with one of `addresses` if any given.

    An interface that refuses is logged and left out: it must not take the others down with it.
    """
    # Keyed by index and version: a second address on the same wire would only double every packet.
    found = {(i.ifindex, i.is_v6): i for i in _all() if not addresses or i.address in addresses}
    return sorted(i for i in found.values() if _carries_multicast(i))[:INTERFACES_MAX]


def names(interfaces: list[Interface]) -> str:
    """For the log: ``eth0 (IPv4, IPv6), lo (IPv4)``."""
    versions: dict[str, list[str]] = {}
    for interface in interfaces:
        versions.setdefault(interface.name, []).append("IPv6" if interface.is_v6 else "IPv4")
    return ", ".join(f"{name} ({', '.join(kinds)})" for name, kinds in versions.items()) or "no interface"


def _all() -> Iterator[Interface]:
    import ifaddr

    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            address = ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip
            # Loopback has no IPv6 multicast, and its IPv4 one is enough for everybody on this machine.
            if adapter.index is not None and address != "::1":
                yield Interface(adapter.name, adapter.index, address)


def _carries_multicast(interface: Interface) -> bool:
    """Whether the kernel lets us join the mDNS group there."""
    family = socket.AF_INET6 if interface.is_v6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            if interface.is_v6:
                request = _GROUP_V6 + struct.pack("@I", interface.ifindex)
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            else:
                request = _GROUP_V4 + socket.inet_aton(interface.address)
                probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    except OSError as error:
        log.debug("! no mDNS on %s %s: %s", interface.name, interface.address, error.strerror)
        return False
    return True
