"""The graph that the directory shows: when to look at it again, and of which part of it something is promised.

An edge is one that both ends claim, so a liar can join itself and its own friends alone.  Such edges never raise what a
graph carries among the others, and must not lower it either: strangers that know only each other, keys that hang on
some peer, or a thousand of them behind a liar, would else take the better rule from everybody.

So the promise is made of a *core* that I am in.  Whoever is left out of it counts as a liar to its neighbors there,
however honest: that is what the theorem (overlay/budget.py) needs, for which an honest peer has at most b neighbors
that are not honest peers of the graph spoken of.  Who has more than b such neighbors counts as a liar, too, one of the
b for which the core is certified wherever they sit.  So where all who hang on lie nothing is asked beyond what was
declared, that no honest peer has more than b lying neighbors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import NamedTuple

from gossipfl.identity import PeerId
from gossipfl.overlay.structure import Edge, neighbors_of, piece_of
from gossipfl.protocol.directory import Claims, Directory, Edges

_EVERY_S = 32.0                                  # guess; the graph is asked no more often than this ...
_PARTS_MAX = 3                                   # guess; of the parts around me so many are looked at, smallest first
_SOON_S = 0.5                                    # ... and at the beginning after this, then after twice as long, etc.


class Graph(NamedTuple):
    """Peers 0 to n - 1 that average with each other, directly or by way of others, and over which edges."""

    n: int
    edges: tuple[Edge, ...]
    me: int = 0


class Core(NamedTuple):
    """A part of a graph of which something may be promised."""

    n: int
    edges: tuple[Edge, ...]
    me: int
    outside: tuple[int, ...]                             # neighbors of each that are left out; of who counts as liar: 0
    left_out: int                                        # peers of the graph that hang on
    overrun: int                                         # peers who count as liars, because they have so many of these
    is_parted: bool = False                              # from others who may hang together as well, and be honest


class Survey:
    """When to look at the graph again, and what is seen then.  In the event loop, so it only takes down the claims."""

    def __init__(self) -> None:
        self._due, self._pause_s = 0.0, _SOON_S

    def claims(self, directory: Directory, now: float) -> Claims | None:
        """Who says whom it averages with, as the directory knows it; None if that has been asked a while ago only."""
        if now < self._due:
            return None
        claims = directory.claims()
        self._due = now + self._pause_s
        if claims[directory.me]:                         # it forms within seconds, and changes seldom then
            self._pause_s = min(2 * self._pause_s, _EVERY_S)
        return claims


def around(me: PeerId, claims: Claims) -> Graph:
    """The piece of the graph that I am in, whatever else a liar has filled the directory with."""
    known = {bytes(peer): peer for peer in claims}
    met, going, edges = {me}, [me], set()
    while going:
        peer = going.pop()
        for other in (known[key] for key in claims[peer] if key in known):
            if other != peer and peer in claims[other]:
                edges.add((min(peer, other), max(peer, other)))
                going += [] if other in met else [other]
                met.add(other)
    return joined_to(me, sorted(edges))


def joined_to(me: PeerId, edges: Edges) -> Graph:
    """The piece of the graph that I am in; without edges, if I have none."""
    peers = sorted({me, *(end for edge in edges for end in edge)})
    number = {peer: place for place, peer in enumerate(peers)}
    numbered = [(number[a], number[b]) for a, b in edges]
    mine = piece_of(number[me], len(peers), numbered)
    return _part(Graph(len(peers), tuple(numbered), number[me]), mine)


def cores(graph: Graph, byzantine_max: int, *, few: int, wired: bool) -> Iterator[Core]:
    """Parts of the graph that I am in and of which a promise may be made, or all of it, that first.

    Left out is who has only `few` neighbors there, because to such a peer no rule can promise anything; but where the
    others all know each other, up to byzantine_max: so few may all be liars, and it their invention.  Then, unless
    people have wired the graph, who would mean a bridge, whatever hangs on the part around me by few peers.
    """
    near = neighbors_of(graph.n, graph.edges)
    held = _with_more_than(byzantine_max, near, range(graph.n), graph.me)
    around = iter(()) if wired else islice(_parts_around(graph.me, near, held, byzantine_max), _PARTS_MAX)
    for part in (held, *around):
        whole = all(len(part) - 1 <= len(part.intersection(near[peer])) for peer in part)
        kept = part if whole else _with_more_than(few, near, part, graph.me)
        core = _core(graph, near, kept, byzantine_max)
        if core is not None:
            yield core._replace(is_parted=part is not held)


def may_carry(core: Core, few: float) -> bool:
    """Whether mu may be above `few`: no more than linear time, where what choice.py computes takes seconds.

    Of any cut with c edges between s peers and n - s, mu <= n c / (s (n - s)) (Fiedler 1973).
    """
    near, n, cut = neighbors_of(core.n, core.edges), core.n, 0
    inside: set[int] = set()
    for peer in islice(_nearest_first(core.me, near, range(n)), n - 1):
        inside.add(peer)
        cut += len(near[peer]) - 2 * sum(other in inside for other in near[peer])
        if n * cut <= few * len(inside) * (n - len(inside)):
            return False
    return True


def _with_more_than(few: int, near: list[list[int]], peers: Collection[int], me: int) -> set[int]:
    """Those of `peers` who are left when all with no more neighbors among them than `few` go, and are joined to me."""
    left = set(peers)
    have = {peer: len(left.intersection(near[peer])) for peer in left}
    going = [peer for peer in left if have[peer] <= few]
    left.difference_update(going)
    while going:
        for other in near[going.pop()]:
            if other in left:
                have[other] -= 1
                if have[other] <= few:
                    left.remove(other)
                    going.append(other)
    joined = [me] if me in left else []
    left.difference_update(joined)
    for peer in joined:                                  # grows meanwhile
        found = left.intersection(near[peer])
        left -= found
        joined += found
    return set(joined)


def _nearest_first(me: int, near: list[list[int]], peers: Collection[int]) -> Iterator[int]:
    """Me, then of `peers` always the one with most neighbors among those before; of equal ones, whom mine know best.

    So it goes through the part that I am in before it goes on to what hangs on there.
    """
    open_, mine = set(peers), {me, *near[me]}
    known = {peer: len(mine.intersection(near[peer])) for peer in near[me]}
    joined = dict.fromkeys(peers, 0)
    waiting = [(0, 0, me)]
    while waiting:
        _, _, peer = heappop(waiting)
        if peer not in open_:
            continue
        open_.remove(peer)
        yield peer
        for other in near[peer]:
            if other in open_:
                joined[other] += 1
                heappush(waiting, (-joined[other], -known.get(other, 0), other))


def _parts_around(me: int, near: list[list[int]], peers: set[int], b: int) -> Iterator[set[int]]:
    """Parts of `peers` that hang together better than with the others, smallest first.

    Of each at most b peers have more than b neighbors outside, and I am none of these.
    """
    beyond: dict[int, int] = {}                          # of each peer inside: its neighbors outside
    over, fits = 0, False
    for peer in _nearest_first(me, near, peers):
        inside = [other for other in near[peer] if other in beyond]
        gained = len(near[peer]) - len(inside)
        if fits and gained > len(inside):                # with the next, more edges would lead out
            yield set(beyond)
        over += (gained > b) - sum(beyond[other] == b + 1 for other in inside)
        for other in inside:
            beyond[other] -= 1
        beyond[peer] = gained
        fits = over <= b and beyond[me] <= b


def _core(graph: Graph, near: list[list[int]], kept: set[int], b: int) -> Core | None:
    """The graph among `kept`; None if more than b of them have more than b neighbors left out or such, or I have."""
    doubtful = {peer: len(near[peer]) - len(kept.intersection(near[peer])) for peer in kept}
    outside = dict(doubtful)
    over = [peer for peer in kept if doubtful[peer] > b]
    for peer in over:                                    # grows meanwhile
        if len(over) > b or graph.me in over:
            break
        for other in kept.intersection(near[peer]):
            doubtful[other] += 1
            if doubtful[other] == b + 1:
                over.append(other)
    if len(kept) < 2 or len(over) > b or graph.me in over:
        return None
    part = _part(graph, sorted(kept))
    weighs = tuple(0 if peer in over else outside[peer] for peer in sorted(kept))
    return Core(part.n, part.edges, part.me, weighs, graph.n - part.n, len(over))


def _part(graph: Graph, kept: list[int]) -> Graph:
    """The graph among those kept, who are numbered anew."""
    number = {peer: place for place, peer in enumerate(kept)}
    edges = tuple((number[a], number[b]) for a, b in graph.edges if a in number and b in number)
    return Graph(len(kept), edges, number[graph.me])
