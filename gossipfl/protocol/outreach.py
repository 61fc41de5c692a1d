"""Whom this peer should be linked with: whom to call for want of neighbors, and which links serve nobody.

It counts who is there, draws candidates, and now and then tries a peer that fell silent, so that the halves of a cut
network find each other again.  When a call may be made is the dialer's business, who becomes a neighbor the view's.
"""

from __future__ import annotations

from collections.abc import Set

from gossipfl.config import NodeConfig
from gossipfl.identity import PeerId
from gossipfl.protocol.dialer import Dialer
from gossipfl.protocol.directory import Directory
from gossipfl.protocol.events import Dice, Effect
from gossipfl.protocol.links import Link, Links
from gossipfl.protocol.view import View


class Outreach:
    """What follows from links, addresses, records and view taken together."""

    def __init__(
        self, options: NodeConfig, dice: Dice, links: Links, dialer: Dialer, directory: Directory, view: View,
        liars: Set[PeerId],
    ) -> None:  # fmt: skip
        self._options, self._dice, self._liars = options, dice, liars
        self._links, self._dialer, self._directory, self._view = links, dialer, directory, view
        self._calls: list[PeerId | str] = []
        self._drawn: list[PeerId] = []                   # candidates that are being called
        self._draws_at = float("inf")                    # more candidates may be called then
        self._healing: PeerId | None = None

    @property
    def due(self) -> float:
        return min(self._dialer.due(self._calls), self._draws_at)

    def linked(self) -> set[PeerId]:
        """Peers that I have a link with and that could be neighbors: visitors are none."""
        return {peer for peer in self._links.by_peer if not self._directory.is_visitor(peer)}

    def there(self) -> set[PeerId]:
        """Which other peers are there, as far as I know: linked, or heard of and not failing to answer.

        Proven liars are not: nobody links with them again.
        """
        linked = self.linked()
        known = self._directory.records.keys() | self._dialer.peers | linked
        return known - (self._dialer.gone() - linked) - {self._directory.me} - self._liars

    def present(self) -> int:
        """How many they are."""
        return len(self.there())

    def call(self, present: int, now: float) -> list[Effect]:
        """Dials to those that I want a link with and whose time has come."""
        self._calls = self._wanted(present, now)
        return self._dialer.call(self._calls, now)

    def heal(self) -> None:
        """Try one peer that I know and have no link to, even though I lack nobody."""
        silent = sorted(self._unlinked())
        self._healing = self._dice.sample(silent, 1)[0] if silent else None

    def idle(self, now: float) -> list[Link]:
        """Links beyond a small mesh that serve no averaging, the longest unused first."""
        idle_s = self._options.liveness.idle_link_s
        neighbors, linked = self._view.neighbors, self._links.by_peer
        spare = [link for link in self._links if link.peer not in neighbors and now - link.used_at > idle_s]
        surplus = max(len(linked) - self._options.overlay.mesh_peers_max, 0)
        return sorted(spare, key=lambda link: link.used_at)[:surplus]

    def _wanted(self, present: int, now: float) -> list[PeerId | str]:
        """Strangers, those the user named, my static neighbors, and peers while I lack neighbors."""
        linked = self._links.by_peer
        if len(linked) >= self._options.limits.links_max:
            return []
        wanted: list[PeerId | str] = [*self._dialer.strangers, *self._dialer.insisted()]
        if self._healing in linked:
            self._healing = None                         # found again: whether the link stays is another question
        if self._healing is not None:
            wanted.append(self._healing)
        wanted += self._candidates(present, now) if self._view.named is None else self._view.named
        return [key for key in dict.fromkeys(wanted) if key not in linked and key not in self._liars]

    def _unlinked(self) -> set[PeerId]:
        return self._dialer.peers - self._links.by_peer.keys() - self._liars

    def _candidates(self, present: int, now: float) -> list[PeerId]:
        """Peers to call for want of neighbors: everybody in a mesh, else as many as are lacking, drawn at random.

        Were they called in the order in which they were heard of, the first would be everyone's neighbors.
        """
        missing, self._draws_at = self._view.missing(present), float("inf")
        if not missing:
            return []
        unlinked = self._unlinked()
        if present < self._options.overlay.mesh_peers_max:
            return sorted(unlinked)
        callable_ = {peer for peer in unlinked if self._dialer.may_call(peer, now)}
        self._drawn = [peer for peer in self._drawn if peer in callable_]
        more = missing - len(self._view.free(self.linked())) - len(self._drawn)
        if more > 0:
            others = sorted(callable_.difference(self._drawn))
            self._drawn += self._view.draw(others, more)
            self._draws_at = self._dialer.callable_at(unlinked - callable_) if more > len(others) else float("inf")
        return self._drawn
