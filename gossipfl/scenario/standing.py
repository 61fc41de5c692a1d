"""What a scenario's rule may promise on its graph, said before anything starts; rule = "auto" is made concrete.

A static graph is judged itself.  Where peers choose their neighbors, everyone is a neighbor while they are few; above
that a random graph of their degree stands in for the one that they will make.  How a rule is chosen is node/choice.py's
business, and a live daemon asks there with the graph of its directory.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from gossipfl.config import AggregationConfig
from gossipfl.node.choice import Choice, check_auto, choose
from gossipfl.overlay import Edge, edges


def judged(aggregation: AggregationConfig, count: int, graph: Sequence[Edge] | None, degree: int, seed: int) -> Choice:
    """The rule for `count` peers, and what it is worth.  Without a graph they have `degree` neighbors each.

    Raises ConfigError for something to do before a rule that is yet to be chosen.
    """
    check_auto(aggregation)
    whole = likely_graph(count, degree, seed) if graph is None and aggregation.byzantine_max else graph or ()
    choice = choose(count, whole, aggregation.byzantine_max, rule=aggregation.rule, pre=aggregation.pre)
    if graph is not None or not aggregation.byzantine_max or degree == count - 1:
        return choice
    said = f"{choice.why}; said of a random graph of degree {degree}, because peers choose their neighbors as they run"
    return replace(choice, why=said)


def likely_graph(count: int, degree: int, seed: int) -> list[Edge]:
    """The graph that peers of such a degree might make: complete, or drawn, with one neighbor fewer if none has it."""
    if degree >= count - 1:
        return edges("full", count)
    return edges("random_regular", count, degree=degree - count * degree % 2, seed=seed)


def outnumbered(neighbors: Sequence[Sequence[int]], liars: Collection[int], byzantine_max: int) -> str | None:
    """What to say if some honest peer has more liars for neighbors than are declared; None if nobody has."""
    honest = [peer for peer in range(len(neighbors)) if peer not in liars]
    lying = {peer: sum(other in liars for other in neighbors[peer]) for peer in honest}
    worst = max(lying, key=lambda peer: (lying[peer], -peer), default=None)
    if worst is None or lying[worst] <= byzantine_max:
        return None
    over = sum(count > byzantine_max for count in lying.values())
    return (
        f"{over} of {len(lying)} honest peers will have more lying neighbors than byzantine_max = {byzantine_max}: "
        f"peer {worst:02d} has {lying[worst]} of {len(neighbors[worst])}"
    )
