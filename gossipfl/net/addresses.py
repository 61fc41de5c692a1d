"""Where a peer can be dialed: ``PEERID@host:port``, and which of my own addresses others can dial.

Decides what an address looks like and how a wildcard listener is told to others.  Ignores whether anyone answers
there: net/transport.py dials, net/discovery.py hears of addresses.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from gossipfl.errors import ConfigError
from gossipfl.identity import PeerId

ADDRESSES_MAX = 16                               # the same bound as in a signed peer record (wire/manifest.py)
_TEXT_MAX = 400                                  # peer ID, the longest name of RFC 1035, port
_NAME_MAX = 253                                  # RFC 1035
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,16}")       # IFNAMSIZ


class Address(NamedTuple):
    """A host and a port, and who is expected there (None: whoever answers)."""

    host: str                                    # IPv4, IPv6 in its shortest form, or a name
    port: int                                    # 0 only where one listens: any free port
    peer: PeerId | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.peer}@{host}:{self.port}" if self.peer is not None else f"{host}:{self.port}"


def parse(text: str) -> Address:
    """The address in ``PEERID@host:port``, ``host:port`` or ``[v6]:port``; `str` is its mirror.  Raises ConfigError."""
    if len(text) > _TEXT_MAX:
        raise ConfigError(f"an address of {len(text)} characters is longer than any host:port")
    name, at, place = text.rpartition("@")
    host, colon, port = place.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise ConfigError(f"{text!r} is no address: write host:port or PEERID@host:port, with a port up to 65535")
    return Address(_parse_host(host, text), int(port), PeerId.parse(name) if at else None)


def is_loopback(host: str) -> bool:
    """Whether `host` can only be this machine."""
    ip = _ip(host)
    return host.lower() == "localhost" if ip is None else ip.is_loopback


def is_numeric(host: str) -> bool:
    """Whether `host` is an IP address, not a name."""
    return _ip(host) is not None


def interface_addresses(interfaces: tuple[str, ...] = ()) -> list[str]:
    """This machine's addresses that others may dial, IPv4 first; those of loopback if there are no others.

    interfaces: only these addresses, where present; empty = all.  Link-local IPv6 is left out: it means nothing
    without the name of an interface on the *other* machine.
    """
    mine = _own_addresses()
    if interfaces:
        mine = [ip for ip in mine if str(ip) in interfaces]
    others = [ip for ip in mine if not ip.is_loopback]
    return [str(ip) for ip in others or mine or [ipaddress.ip_address("127.0.0.1")]]


def advertised(
    bound: list[str], announce: tuple[str, ...] = (), interfaces: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """What to tell others, as ``host:port``: `announce` if given, else `bound` with wildcards spelled out.

    Raises ConfigError for an announced address that nobody could dial.
    """
    if announce:
        return tuple(str(_dialable(text)) for text in announce)[:ADDRESSES_MAX]
    told = [address for text in bound for address in _expand(parse(text), interfaces)]
    return tuple(dict.fromkeys(map(str, told)))[:ADDRESSES_MAX]


def _expand(address: Address, interfaces: tuple[str, ...]) -> list[Address]:
    ip = _ip(address.host)
    if ip is None or not ip.is_unspecified:
        return [address]
    hosts = [host for host in interface_addresses(interfaces) if (":" in host) == (ip.version == 6)]
    loopback = "::1" if ip.version == 6 else "127.0.0.1"
    return [address._replace(host=host) for host in hosts or [loopback]]


def _dialable(text: str) -> Address:
    address = parse(text)
    ip = _ip(address.host)
    if address.port == 0 or (ip is not None and ip.is_unspecified):
        raise ConfigError(f"{text!r} cannot be dialed by others: announce an address and a port of this machine")
    return address


def _parse_host(host: str, text: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        ip = _ip(host[1:-1])
        if ip is not None and ip.version == 6:
            return str(ip)
    elif ":" not in host and (_ip(host) is not None or _is_name(host)):
        return host
    raise ConfigError(f"{text!r} names no host: write an IPv4 address, a name, or an IPv6 address in [brackets]")


def _is_name(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    # A last label of digits is a mistyped IPv4 address, which resolvers would read in surprising ways.
    return len(host) <= _NAME_MAX and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """`host` as an IP address, or None if it is a name."""
    _, percent, zone = host.partition("%")
    try:
        return None if percent and not _ZONE.fullmatch(zone) else ipaddress.ip_address(host)
    except ValueError:
        return None


def _own_addresses() -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    import ifaddr  # comes with zeroconf; a node that only dials needs neither

    ips = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    parsed = [ipaddress.ip_address(ip[0] if isinstance(ip, tuple) else ip) for ip in ips]
    kept = {ip for ip in parsed if ip.version == 4 or not ip.is_link_local}
    return sorted(kept, key=lambda ip: (ip.version, int(ip)))
