"""Graphs that change from round to round and begin anew after a period: a list of edge lists, one per round.

A new one is one function here and one line in SCHEDULES, and its union in GRAPHS for drawing.  What a schedule is worth
is told by audit.py; graphs that stay are graphs.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gossipfl.errors import ConfigError, meant
from gossipfl.overlay.families import nearest_that
from gossipfl.overlay.structure import Edge


def schedule(kind: str, n: int) -> list[list[Edge]]:
    """One period of rounds, each a sorted list of edges.  Raises ConfigError for a kind or an n that does not exist."""
    if kind not in SCHEDULES:
        raise ConfigError(f"no time-varying graph {kind!r}; {meant(kind, SCHEDULES)}", "overlay.kind")
    return SCHEDULES[kind](n)


def union(rounds: Sequence[Iterable[Edge]]) -> list[Edge]:
    """Every edge of any round, once, sorted."""
    return sorted({edge for graph in rounds for edge in graph})


def one_peer_exponential(n: int) -> list[list[Edge]]:
    """In round t each peer i averages with one other, i xor 2^(t mod log2 n).

    The one-peer exponential graph of Ying et al. 2021 is directed: in round t peer i sends to i + 2^t mod n and hears
    another.  Averaging here is symmetric, so the partner is the one of the one-peer hypercube instead: again one
    neighbor a round, distances 1, 2, 4 ..., and the exact average after log2(n) rounds of weight 1/2.
    Raises ConfigError unless n is a power of two, 2 or more.
    """
    if not _is_power(n):
        nearest = nearest_that(_is_power, n)
        raise ConfigError(f"pairs work out for a power of two and {n} peers are none; {nearest} are", "overlay.kind")
    return [[(i, i ^ step) for i in range(n) if not i & step] for step in (1 << t for t in range(n.bit_length() - 1))]


def _is_power(n: int) -> bool:
    return n >= 2 and n.bit_count() == 1


SCHEDULES: dict[str, Callable[[int], list[list[Edge]]]] = {"one_peer_exponential": one_peer_exponential}
