"""Nothing grows beyond its bound: every queue, buffer, view and table of a peer against the option that bounds it.

Looks into the machines' own tables on purpose: that a bound holds can be seen from inside alone.  Asked after every few
events, so each line is a comparison of lengths.
"""

from __future__ import annotations

from collections.abc import Iterator

from gossipfl.protocol.fetching import _ABSENT_MAX, Fetching
from gossipfl.protocol.links import _TOLD_MAX
from gossipfl.protocol.membership import Membership
from gossipfl.protocol.peer import Peer
from gossipfl.protocol.round import _CLOSED_ROUNDS
from gossipfl.scenario.virtual.machine import Machine

_HOSTS_MAX = 16                                 # addresses of one peer, as in protocol/dialer.py


def beyond(machine: Machine, peer: Peer) -> Iterator[str]:
    """What is too large at one peer, in words."""
    yield from _exchange(machine, peer)
    yield from _membership(machine, peer.membership)
    yield from _links(machine)


def _exchange(machine: Machine, peer: Peer) -> Iterator[str]:
    limits, averaging = machine.options.limits, peer.averaging
    fetching, pending_max = averaging.fetching, limits.pending_updates_max
    for inbox in fetching.inboxes.values():
        yield from _over("pending_updates_max", len(inbox.pending), pending_max)
        yield from _over("offers remembered", len(inbox.offers), pending_max + 1)
    yield from _over("receive_bytes_max", fetching.reserved_bytes, _reserved_max(machine, fetching))
    yield from _over("published_max", len(averaging.serving._published), limits.published_max)
    yield from _over("absent neighbors", len(fetching._absent), _ABSENT_MAX)
    yield from _over("rounds remembered", len(averaging.round.closed), _CLOSED_ROUNDS)
    yield from _over("directory_records_max of signers", len(averaging.ledger._newest), limits.directory_records_max)


def _reserved_max(machine: Machine, fetching: Fetching) -> int:
    """One download is always allowed, or nobody whose payload is above the limit could ever take part."""
    coming = (inbox.download for inbox in fetching.inboxes.values())
    largest = max((len(download.buffer) for download in coming if download is not None), default=0)
    return max(machine.options.limits.receive_bytes_max, largest, _largest_pending(fetching))


def _largest_pending(fetching: Fetching) -> int:
    held = (update for inbox in (*fetching.inboxes.values(), *fetching._absent.values()) for update in inbox.pending)
    return max((len(update.data) for update in held), default=0)


def _membership(machine: Machine, membership: Membership) -> Iterator[str]:
    limits, overlay, everyone = machine.options.limits, machine.options.overlay, len(machine.network.machines)
    view, links, dialer = membership.view, membership.links, membership.dialer
    # The empty-handed are let in beyond the slack, one at a time.
    view_max = max(overlay.mesh_peers_max - 1, overlay.degree) + overlay.degree_slack + 1
    yield from _over("neighbors", len(view.neighbors), len(view.named) if view.named is not None else view_max)
    yield from _over("peers asked", len(view._asked), everyone)
    yield from _over("peers that declined", len(view._declined), everyone)
    yield from _over("peers let go", len(view._let_go), everyone)
    yield from _over("links_max", len(links.by_peer), limits.links_max)
    yield from _over("records", len(membership.directory.records), min(limits.directory_records_max, everyone))
    yield from _over("records dropped", len(membership.directory._dropped), limits.directory_records_max)
    yield from _over("peers to dial", len(dialer._peers), everyone)
    yield from _over("candidates_max", len(dialer._strangers), limits.candidates_max)
    for target in dialer._peers.values():
        yield from _over("addresses of a peer", len(target.hosts), _HOSTS_MAX)
    yield from _over("directory_records_max of manners", len(links.manners), limits.directory_records_max)
    yield from _over("proofs", len(membership.proofs.liars), everyone)
    yield from _over("links to be told of proofs", len(membership.proofs._queues), len(links.by_peer))
    for record in links.manners.values():
        yield from _over("complaints told", len(record.told), _TOLD_MAX)


def _links(machine: Machine) -> Iterator[str]:
    limits, half_open = machine.options.limits, len(machine.doorstep.places)
    yield from _over("connections", len(machine.ends), limits.links_max)
    yield from _over("handshakes_max", half_open, limits.handshakes_max)
    for end in machine.ends.values():
        yield from _over("send_queue_bytes_max", end.waiting_bytes, limits.send_queue_bytes_max)
        yield from _over("requests_max", end.requests, limits.requests_max)


def _over(what: str, have: int, bound: int) -> Iterator[str]:
    if have > bound:
        yield f"has {have} where {what} is {bound}"
