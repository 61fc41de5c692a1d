"""How a graph hangs together: its pieces, what they cannot lose, and how far apart peers are.

A graph is its edges (i, j), i < j, each once, between peers 0 to n - 1; n is at least 1.  Pieces, articulation points
and bridges come from one depth-first walk in time linear in peers and edges (Hopcroft and Tarjan 1973), and without
recursion, because a line of 2,000 peers is deeper than Python's stack.  How fast the peers agree is told by spectrum.py
and not asked here; audit.py puts both together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

Edge = tuple[int, int]


class Loss(NamedTuple):
    """An articulation point: what goes with it, and new edges after which nothing would."""

    peer: int
    cut_off: int                                         # peers outside the largest part of what is left of its piece
    remedy: tuple[Edge, ...]
    parts: int                                           # into which its piece falls
    largest: int                                         # peers in the largest of them


class Bridge(NamedTuple):
    """An edge that alone holds two sides together, and a new edge that would, too."""

    edge: Edge
    cut_off: int                                         # peers on the smaller side
    remedy: Edge | None                                  # None where each side is a single peer


class Anatomy(NamedTuple):
    """All that one walk finds.  Losses and bridges are sorted worst first, components largest first."""

    components: list[list[int]]
    losses: list[Loss]
    bridges: list[Bridge]


class Distances(NamedTuple):
    """In edges, over all pairs of peers of a connected graph."""

    diameter: int
    mean: float                                          # 0 for a single peer


def components(n: int, graph: Iterable[Edge]) -> list[list[int]]:
    """The pieces, each with its peers ascending; largest first, of equal ones that with the smallest number."""
    return anatomy(n, graph).components


def piece_of(peer: int, n: int, graph: Iterable[Edge]) -> list[int]:
    """Whom `peer` is joined to by any way, itself among them, ascending."""
    near, seen, found = neighbors_of(n, graph), {peer}, [peer]
    for here in found:                                   # grows meanwhile
        fresh = [other for other in near[here] if other not in seen]
        seen.update(fresh)
        found += fresh
    return sorted(seen)


def is_connected(n: int, graph: Iterable[Edge]) -> bool:
    """Is there a way between any two of the n peers?"""
    return len(components(n, graph)) == 1


def articulation_points(n: int, graph: Iterable[Edge]) -> list[int]:
    """Peers without which their piece falls apart, ascending."""
    return sorted(loss.peer for loss in anatomy(n, graph).losses)


def bridges(n: int, graph: Iterable[Edge]) -> list[Edge]:
    """Edges without which their piece falls apart, sorted."""
    return sorted(bridge.edge for bridge in anatomy(n, graph).bridges)


def anatomy(n: int, graph: Iterable[Edge]) -> Anatomy:
    """Pieces, articulation points and bridges in one walk."""
    walk = _Walk(neighbors_of(n, graph))
    losses = _losses(walk)
    return Anatomy(_pieces(walk), losses, _bridges(walk, losses))


def distances(n: int, graph: Iterable[Edge]) -> Distances | None:
    """Breadth first from every peer; None if the graph falls apart.

    Sets of peers are the bits of an int, so a step takes n / 64 words however dense the graph is: 2,000 peers in about
    two seconds whether they form a line or two cliques.
    """
    nearby = [sum(1 << other for other in others) for others in neighbors_of(n, graph)]
    farthest, total, pairs = 0, 0, 0
    for source in range(n):
        for distance, count in enumerate(_spheres(source, nearby), 1):
            farthest, total, pairs = max(farthest, distance), total + distance * count, pairs + count
    if pairs < n * (n - 1):
        return None
    return Distances(farthest, total / max(pairs, 1))


def neighbors_of(n: int, graph: Iterable[Edge]) -> list[list[int]]:
    """Each peer's neighbors, in the order of the edges."""
    found: list[list[int]] = [[] for _ in range(n)]
    for i, j in graph:
        found[i].append(j)
        found[j].append(i)
    return found


class _Walk:
    """A depth-first walk from every peer not yet seen, and what the lists below say about each peer."""

    def __init__(self, neighbors: list[list[int]]) -> None:
        n = len(neighbors)
        self.neighbors = neighbors
        self.parent = [-1] * n                           # by whom the walk came; -1 for the first peer of a piece
        self.order = list(self._visit())                 # peers in the order of the walk
        self.entered = [0] * n                           # position in that order
        for position, peer in enumerate(self.order):
            self.entered[peer] = position
        self.top = list(range(n))                        # the first peer of its piece
        self.low = list(self.entered)                    # smallest position that an edge from its subtree leads to
        self.size = [1] * n                              # peers in its subtree
        self._sum_up()

    def is_bridge(self, i: int, j: int) -> bool:
        """Whether the edge between a peer and the one from which the walk came to it is all that joins their sides."""
        parent, child = (i, j) if self.parent[j] == i else (j, i)
        return self.parent[child] == parent and self.low[child] > self.entered[parent]

    def beyond(self, peer: int, end: int) -> int:
        """A neighbor of `end` besides `peer`, the one from which the walk came if it can be; or `end`."""
        return self.parent[end] if self.parent[end] not in {-1, peer} else _other(peer, end, self.neighbors)

    def parts(self, child: int, edge: Edge) -> bool:
        """Whether `edge` leads out of the subtree of `child`, which the walk went through without a break."""
        first = self.entered[child]
        inside = [first <= self.entered[end] < first + self.size[child] for end in edge]
        return inside[0] != inside[1]

    def _visit(self) -> Iterator[int]:
        seen = [False] * len(self.neighbors)
        ways = [iter(others) for others in self.neighbors]    # each way is looked at once, across visits to a peer
        for first in range(len(ways)):
            trail = [] if seen[first] else [first]
            while trail:
                here = trail[-1]
                if not seen[here]:
                    seen[here] = True
                    yield here
                onward = next((other for other in ways[here] if not seen[other]), None)
                if onward is None:
                    trail.pop()
                else:
                    self.parent[onward] = here
                    trail.append(onward)

    def _sum_up(self) -> None:
        for peer in reversed(self.order):                # children before parents
            parent = self.parent[peer]
            reached = (self.entered[other] for other in self.neighbors[peer] if other != parent)
            self.low[peer] = min(self.low[peer], min(reached, default=len(self.order)))
            if parent >= 0:
                self.low[parent] = min(self.low[parent], self.low[peer])
                self.size[parent] += self.size[peer]
        for peer in self.order:                          # parents before children
            if self.parent[peer] >= 0:
                self.top[peer] = self.top[self.parent[peer]]


def _pieces(walk: _Walk) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for peer, top in enumerate(walk.top):
        found.setdefault(top, []).append(peer)
    return sorted(found.values(), key=lambda piece: (-len(piece), piece[0]))


def _losses(walk: _Walk) -> list[Loss]:
    """A child's subtree is cut off with its parent if no edge of it leads past the parent."""
    cut: dict[int, list[tuple[int, int]]] = {}           # per peer its parts: how many peers, and its neighbor there
    for child in walk.order:
        parent = walk.parent[child]
        if parent >= 0 and walk.low[child] >= walk.entered[parent]:
            cut.setdefault(parent, []).append((walk.size[child], child))
    for peer, parts in cut.items():
        if walk.parent[peer] >= 0:                       # the way that the walk came is another part
            beyond = walk.size[walk.top[peer]] - 1 - sum(size for size, _ in parts)
            parts.append((beyond, walk.parent[peer]))
    found = [_loss(walk, peer, parts) for peer, parts in cut.items() if len(parts) > 1]
    return sorted(found, key=lambda loss: (-loss.cut_off, loss.peer))


def _loss(walk: _Walk, peer: int, parts: list[tuple[int, int]]) -> Loss:
    """A chain of edges from part to part, so that no peer becomes the new center.

    Not to the far end of a bridge, which may be the next that cannot be lost: one edge then mends all three.
    """
    parts.sort(key=lambda part: (-part[0], part[1]))     # largest first
    members = [walk.beyond(peer, end) if walk.is_bridge(peer, end) else end for _, end in parts]
    return Loss(peer, sum(size for size, _ in parts[1:]), chain(members), len(parts), parts[0][0])


def chain(peers: Sequence[int]) -> tuple[Edge, ...]:
    """Edges from each of these peers to the next."""
    return tuple((min(pair), max(pair)) for pair in pairwise(peers))


def _bridges(walk: _Walk, losses: Sequence[Loss]) -> list[Bridge]:
    """All bridges; a new edge that mends a loss mends those that it leads across, too, and is asked for first."""
    asked = {end: edge for loss in reversed(losses) for edge in reversed(loss.remedy) for end in edge}
    found = []
    for child in walk.order:
        parent = walk.parent[child]
        if parent >= 0 and walk.is_bridge(parent, child):
            below, above = walk.size[child], walk.size[walk.top[child]] - walk.size[child]
            edge = min(parent, child), max(parent, child)
            beside = _beside(edge, walk.neighbors)
            across = [asked[end] for end in (*edge, *(beside or ())) if end in asked and walk.parts(child, asked[end])]
            found.append(Bridge(edge, min(below, above), across[0] if across else beside))
    return sorted(found, key=lambda bridge: (-bridge.cut_off, bridge.edge))


def _beside(edge: Edge, neighbors: list[list[int]]) -> Edge | None:
    """A second edge between the bridge's two sides, that shares no end with it where that can be."""
    i, j = edge
    here, there = _other(j, i, neighbors), _other(i, j, neighbors)
    return None if (here, there) == edge else (min(here, there), max(here, there))


def _other(peer: int, end: int, neighbors: list[list[int]]) -> int:
    """A neighbor of `end` besides `peer`, or `end` itself if it has none."""
    return next((other for other in neighbors[end] if other != peer), end)


def _spheres(source: int, nearby: Sequence[int]) -> Iterator[int]:
    """How many peers are 1, 2, 3 ... edges away from `source`; `nearby` are each peer's neighbors as bits."""
    everyone = (1 << len(nearby)) - 1
    frontier = reached = 1 << source
    while frontier and reached != everyone:
        around = 0
        while frontier:
            lowest = frontier & -frontier
            around |= nearby[lowest.bit_length() - 1]
            frontier ^= lowest
        frontier = around & ~reached
        reached |= frontier
        if frontier:
            yield frontier.bit_count()
