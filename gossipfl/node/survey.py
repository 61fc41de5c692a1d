"""The graph that the directory shows: when to look at it again, and which part of it counts.

An edge is one that both ends claim, so a liar can join itself and its own friends alone.  Such edges never raise what a
graph carries among the others, and must not lower it either: a piece of strangers that know only each other, or a
liar that hangs on by one edge, would else take the better rule from everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gossipfl.identity import PeerId
from gossipfl.overlay.structure import Edge, components, neighbors_of
from gossipfl.protocol.directory import Directory

Edges = list[tuple[PeerId, PeerId]]

_EVERY_S = 32.0                                  # guess; the graph is asked no more often than this ...
_SOON_S = 0.5                                    # ... and at the beginning after this, then after twice as long, etc.


class Graph(NamedTuple):
    """Peers 0 to n - 1 that average with each other, directly or by way of others, and over which edges."""

    n: int
    edges: tuple[Edge, ...]
    me: int = 0


class Survey:
    """When to look at the graph again, and what is seen then.  In the event loop, so it only takes down the edges."""

    def __init__(self) -> None:
        self._due, self._pause_s = 0.0, _SOON_S

    def edges(self, directory: Directory, now: float) -> Edges | None:
        """Who averages with whom, as the directory knows it; None if that has been asked a while ago only."""
        if now < self._due:
            return None
        edges, _ = directory.edges()
        self._due = now + self._pause_s
        if edges:                                        # it forms within seconds, and changes seldom then
            self._pause_s = min(2 * self._pause_s, _EVERY_S)
        return edges


def joined_to(me: PeerId, edges: Edges) -> Graph:
    """The piece of the graph that I am in; without edges, if I have none."""
    peers = sorted({me, *(end for edge in edges for end in edge)})
    number = {peer: place for place, peer in enumerate(peers)}
    numbered = [(number[a], number[b]) for a, b in edges]
    mine = next(piece for piece in components(len(peers), numbered) if number[me] in piece)
    return _part(Graph(len(peers), tuple(numbered), number[me]), mine)


def without_outskirts(graph: Graph, byzantine_max: int) -> Iterator[Graph]:
    """The graph without 1, 2 ... byzantine_max peers, always the one with fewest neighbors, while they have few.

    To a peer with 4 byzantine_max neighbors or fewer no rule can promise anything; and it may be one of the liars.
    Ends before I am left out myself.
    """
    for _ in range(byzantine_max):
        degrees = [len(near) for near in neighbors_of(graph.n, graph.edges)]
        least = min(range(graph.n), key=degrees.__getitem__)
        if degrees[least] > 4 * byzantine_max or least == graph.me:
            return
        graph = _part(graph, [peer for peer in range(graph.n) if peer != least])
        yield graph


def _part(graph: Graph, kept: list[int]) -> Graph:
    """The graph among those kept, who are numbered anew."""
    number = {peer: place for place, peer in enumerate(kept)}
    edges = tuple((number[a], number[b]) for a, b in graph.edges if a in number and b in number)
    return Graph(len(kept), edges, number[graph.me])
