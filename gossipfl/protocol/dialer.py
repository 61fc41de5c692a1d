"""Whom to call, and when again.

Addresses are rumors: from mDNS, from an option, from last time, from the directory.  A target is a peer with all
addresses heard for it, or one bare address whose owner is not known yet.  Failures back off with jitter; a new address
starts afresh; what the user named is never forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from gossipfl.config import LimitsConfig
from gossipfl.identity import PeerId
from gossipfl.protocol.events import Dial, Dice, Effect, Found

_ADDRESSES_PER_PEER_MAX = 16
_POLITE_S = 0.4                      # the larger ID lets the smaller call first: its link would survive anyway
_FAILURES_SILENT = 3                 # so many failed calls in a row and a peer no longer counts as there


@dataclass(slots=True)
class Target:
    """One peer, or one bare address, that can be called."""

    hosts: list[str] = field(default_factory=list)
    turn: int = 0                    # which host is next
    failures: int = 0
    next_at: float = 0.0
    dialing: str | None = None
    insist: bool = False


class Dialer:
    """Addresses heard, and the patience with each."""

    def __init__(self, me: PeerId, limits: LimitsConfig, dice: Dice) -> None:
        self._me, self._limits, self._dice = me, limits, dice
        self._targets: OrderedDict[PeerId | str, Target] = OrderedDict()
        self._own_hosts: set[str] = set()
        self._next_dial_at = 0.0

    def found(self, event: Found, now: float) -> None:
        """Take note of an address.  Beyond the bound the target heard of longest ago goes, unless the user named it."""
        if event.peer == self._me or event.host in self._own_hosts:
            return
        key: PeerId | str = event.peer or event.host
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = Target()
            polite = event.peer is not None and event.peer < self._me and not event.insist
            target.next_at = now + (_POLITE_S if polite else 0.0)
            self._make_room()
        target.insist |= event.insist
        if event.host not in target.hosts:
            target.hosts = [event.host, *target.hosts][:_ADDRESSES_PER_PEER_MAX]
            target.turn = 0
            if target.failures:
                target.failures, target.next_at = 0, now

    def connected(self, peer: PeerId, host: str | None) -> None:
        """A handshake succeeded; if I dialed `host`, whoever that was is now known to be `peer`."""
        bare = self._targets.pop(host, None) if host is not None else None
        if bare is None and peer not in self._targets:
            return
        target = self._targets.setdefault(peer, Target())
        if bare is not None:
            target.insist |= bare.insist
            target.hosts = list(dict.fromkeys([*bare.hosts, *target.hosts]))[:_ADDRESSES_PER_PEER_MAX]
        target.failures, target.dialing = 0, None

    def is_me(self, host: str) -> None:
        """This address answers with my own key."""
        self._own_hosts.add(host)
        self._targets.pop(host, None)

    def failed(self, host: str, now: float) -> None:
        """A call came to nothing: the next address, or the same one later."""
        for target in self._targets.values():
            if target.dialing == host:
                target.dialing = None
                target.turn += 1
                self._back_off(target, now)
                return

    def lost(self, peer: PeerId, now: float, *, refused: bool = False) -> None:
        """A link ended.  A peer that was refused is called again only after the longest pause."""
        target = self._targets.get(peer)
        if target is None:
            return
        target.dialing = None
        if refused:
            target.next_at = now + self._limits.dial_backoff_max_s
        else:
            target.next_at = max(target.next_at, now + self._limits.dial_backoff_s * self._dice.random())

    def seems_gone(self, peer: PeerId) -> bool:
        """Has it failed to answer so often that it does not count as present?"""
        target = self._targets.get(peer)
        return target is not None and target.failures >= _FAILURES_SILENT

    def knows(self, peer: PeerId) -> bool:
        return peer in self._targets

    def peers(self) -> list[PeerId]:
        return [key for key in self._targets if isinstance(key, PeerId)]

    def strangers(self) -> list[str]:
        """Bare addresses whose owner no handshake has shown yet."""
        return [key for key in self._targets if isinstance(key, str)]

    def insisted(self) -> list[PeerId]:
        return [key for key, target in self._targets.items() if isinstance(key, PeerId) and target.insist]

    def call(self, wanted: list[PeerId | str], now: float) -> list[Effect]:
        """Dials to those of `wanted` whose time has come, under the rate limit."""
        effects: list[Effect] = []
        for key in wanted:
            target = self._targets.get(key)
            if target is None or target.dialing or not target.hosts or target.next_at > now:
                continue
            if self._next_dial_at > now:
                break
            self._next_dial_at = max(now - 1.0, self._next_dial_at) + 1.0 / self._limits.dials_per_s
            target.dialing = target.hosts[target.turn % len(target.hosts)]
            effects.append(Dial(target.dialing, key if isinstance(key, PeerId) else None))
        return effects

    def due(self, wanted: list[PeerId | str]) -> float:
        """When `call` may have something to do again."""
        waiting = [target.next_at for key in wanted if (target := self._targets.get(key)) and not target.dialing]
        return max(min(waiting), self._next_dial_at) if waiting else float("inf")

    def _back_off(self, target: Target, now: float) -> None:
        if target.turn % len(target.hosts):              # another address of the same peer is still untried
            return
        target.failures += 1
        pause_s = min(self._limits.dial_backoff_s * 2.0 ** (target.failures - 1), self._limits.dial_backoff_max_s)
        target.next_at = max(target.next_at, now + pause_s * (0.5 + self._dice.random() / 2))

    def _make_room(self) -> None:
        bound = self._limits.candidates_max + self._limits.directory_records_max
        if len(self._targets) > bound:
            oldest = next((key for key, target in self._targets.items() if not target.insist), None)
            if oldest is not None:
                del self._targets[oldest]
