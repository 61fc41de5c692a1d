"""What a node shows of itself: the tables behind the status pages, `gossipfl status` and the live screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from gossipfl.config import NodeConfig
from gossipfl.federation import Federation
from gossipfl.identity import Identity, PeerId
from gossipfl.net.link import Link
from gossipfl.node.history import History, resident_mb
from gossipfl.node.log import Recent
from gossipfl.node.verdicts import Verdict
from gossipfl.protocol.directory import edges_of
from gossipfl.protocol.peer import Peer


class Shown(Protocol):
    """The parts of a node that can be seen."""

    federation: Federation
    options: NodeConfig
    identity: Identity
    peer: Peer
    links: dict[int, Link]
    history: History
    ruling: dict[str, Any]
    recent: Recent
    addresses: tuple[str, ...]
    started_at: float


def view_of(node: Shown, *pages: str) -> dict[str, Any]:
    """Status, peers and newest events, or the pages that are named, as plain data for JSON.

    The topology is yet to be worked out, by calling it in any thread: of thousands of peers it is no event loop's work.
    """
    return {page: _PAGES[page](node) for page in pages or ("status", "peers", "events")}


def _status(node: Shown) -> dict[str, Any]:
    history, round_, membership = node.history, node.peer.averaging.round, node.peer.membership
    last, links = history.last, list(node.links.values())
    control = history.control_bytes_sent(links)
    sent = history.bytes_sent(links)
    return {
        "peer_id": str(node.identity.peer_id),
        "short": node.identity.peer_id.short,
        "federation": node.federation.name,
        "model": node.federation.summary,
        "rule": " + ".join([*node.ruling["pre"], node.ruling["rule"]]),
        "ruling": node.ruling,
        "codec": node.federation.codec,
        "round": round_.number,
        "rounds": round_.options.rounds,
        "phase": round_.phase.value,
        "accuracy": last.accuracy if last is not None else None,
        "loss": last.loss if last is not None else None,
        "distance": last.distance if last is not None else None,
        "listen": list(node.addresses),
        "uptime_s": time.time() - node.started_at,
        "neighbors": len(membership.view.neighbors),
        "links": len(membership.links.by_peer),
        "known_peers": len(membership.directory.records),
        "bytes_sent": sent,
        "bytes_sent_by_kind": {"control": control, "bulk": max(sent - control, 0)},
        "bytes_received": history.bytes_received(links),
        "updates": dict(history.updates),
        "unmixed": {"rounds": history.unmixed, "because": history.unmixed_because},
        "verdicts": dict(history.verdicts),
        "alone": _alone(history),
        "isolated": history.is_isolated,
        "loop_lag_ms": history.lag_ms(),
        "rss_mb": resident_mb(),
        "history": list(history.accuracies),
    }


def _alone(history: History) -> dict[str, Any] | None:
    """The newest comparison with the twin; None without one."""
    seen = history.compared
    if seen is None:
        return None
    return {
        "round": seen.round, "accuracy": seen.alone, "mine": seen.mine, "gain": seen.gain, "examples": seen.examples,
        "wins": seen.wins,
    }  # fmt: skip


def _verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    """What was concluded of a peer last; None if nothing ever was."""
    if verdict is None:
        return None
    return {
        "standing": verdict.standing, "kept": verdict.kept, "distance": verdict.distance, "cause": verdict.cause,
        "reason": verdict.reason,
    }  # fmt: skip


def _peers(node: Shown) -> list[dict[str, Any]]:
    return [_peer(node, peer) for peer in _known(node)]


def _known(node: Shown) -> list[PeerId]:
    membership = node.peer.membership
    return sorted(set(membership.directory.others) | set(membership.links.by_peer))


def _peer(node: Shown, peer: PeerId) -> dict[str, Any]:
    membership, round_ = node.peer.membership, node.peer.averaging.round
    link = membership.links.by_peer.get(peer)
    wire = node.links.get(link.number) if link is not None else None
    pace = round_.paces.get(peer)
    record = membership.directory.records.get(peer)
    manners = membership.links.manners.get(peer)
    heard = pace is not None and pace.arrived_at is not None
    return {
        "id": str(peer),
        "short": peer.short,
        "linked": link is not None,
        "neighbor": peer in membership.view.neighbors,
        "dialed_by_me": link.dialed if link is not None else None,
        "round": pace.round if pace is not None else None,
        "staleness_rounds": round_.number - pace.refreshed if pace is not None and heard else None,
        "interval_s": pace.turnaround_s if pace is not None else None,
        "addresses": list(record.document.addresses) if record is not None else [],
        "bytes_sent": wire.bytes_sent if wire is not None else 0,
        "bytes_received": wire.bytes_received if wire is not None else 0,
        "strikes": manners.strikes if manners is not None else 0,
        "banned": membership.links.is_banned(peer, time.time()),
        "verdict": _verdict(node.history.judged.get(peer)),
        "trust": membership.trust.of(peer),
    }


def _topology(node: Shown) -> Callable[[], dict[str, Any]]:
    me, claims = node.identity.peer_id, node.peer.membership.directory.claims()

    def told() -> dict[str, Any]:
        names = {peer: str(peer) for peer in sorted(claims)}
        both, one = ([[names[a], names[b]] for a, b in edges] for edges in edges_of(claims))
        return {"nodes": list(names.values()), "edges": both, "claimed": one, "asked": [names[me]]}

    return told


_PAGES: dict[str, Callable[[Shown], Any]] = {
    "status": _status, "peers": _peers, "topology": _topology, "events": lambda node: node.recent.lines,
}  # fmt: skip
