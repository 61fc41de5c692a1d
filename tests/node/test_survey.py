"""Of which part of a graph something may be promised, whoever hangs on there."""

from __future__ import annotations

import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.node.choice import BUDGET_PEERS_MAX
from gossipfl.node.survey import Core, Graph, around, cores, joined_to, may_carry
from gossipfl.overlay import edges
from gossipfl.overlay.structure import neighbors_of

FULL = edges("full", 20)


def found(graph: Graph, b: int, *, wired: bool = False) -> list[Core]:
    return list(cores(graph, b, few=4 * b, wired=wired))


def keys(first: int, count: int) -> list[tuple[int, int]]:
    """A ring of keys that each name four more on both sides."""
    ring = ((first + i, first + (i + d) % count) for i in range(count) for d in (1, 2, 3, 4, 5))
    return sorted({(min(edge), max(edge)) for edge in ring})


def test_strangers_that_know_only_each_other_are_no_part_of_my_graph() -> None:
    me, near, far, farther = (bytes([n]) for n in range(4))
    assert joined_to(me, [(me, near), (far, farther)]) == Graph(2, ((0, 1),), 0)
    assert joined_to(farther, [(me, near), (far, farther)]) == Graph(2, ((0, 1),), 1)
    assert joined_to(farther, [(me, near)]) == Graph(1, (), 0)


def test_the_learning_thread_finds_my_piece_in_what_a_full_directory_claims() -> None:
    """Where a liar has filled it: the event loop has no more to do than to take it down."""
    names = [number.to_bytes(32, "big") for number in range(4096)]
    claims = {name: tuple(names[(i + d) % 4000] for d in (*range(-32, 0), *range(1, 33))) for i, name in
              enumerate(names[:4000])}                                                                   # fmt: skip
    claims |= {name: tuple(set(names[4000:4020]) - {name}) for name in names[4000:4020]}
    assert around(names[4000], claims) == Graph(20, tuple(FULL), 0)
    assert around(names[4050], {**claims, names[4050]: (names[0],)}) == Graph(1, (), 0)


def test_whoever_names_itself_adds_nothing_to_the_graph() -> None:
    names = [bytes([n]) * 32 for n in range(6)]
    claims = {name: tuple(other for other in names if other != name) for name in names}
    told = around(names[0], claims)
    assert around(names[0], claims | {names[5]: tuple(names)}) == told == Graph(6, tuple(edges("full", 6)), 0)


def test_a_graph_of_many_edges_is_its_own_core() -> None:
    assert found(Graph(20, tuple(FULL), 3), 2)[0] == Core(20, tuple(FULL), 3, (0,) * 20, 0, 0)


@pytest.mark.parametrize(("at", "overrun"), [([19], 0), ([19, 19, 19], 1), ([3, 5, 7, 19], 0), (list(range(1, 20)), 0)])
def test_whoever_hangs_on_is_left_out_however_many_they_are(at: list[int], overrun: int) -> None:
    """Of one who has more than b of them the others believe no more than of a liar: its weights do not count."""
    hung = Graph(20 + len(at), (*FULL, *((peer, 20 + i) for i, peer in enumerate(at))), 0)
    core = found(hung, 1, wired=True)[0]
    assert (core.n, core.edges, core.left_out, core.overrun) == (20, tuple(FULL), len(at), overrun)
    assert core.outside == tuple(at.count(peer) if at.count(peer) == 1 else 0 for peer in range(20))


def test_nothing_is_promised_to_who_has_more_that_hang_on_than_may_lie_nor_to_those() -> None:
    edges_ = (*FULL, (19, 20), (19, 21))
    assert found(Graph(22, edges_, 19), 1) == []
    assert found(Graph(22, edges_, 20), 1) == []
    assert found(Graph(22, edges_, 19), 2)[0].n == 20


def test_nothing_is_promised_where_more_are_overrun_than_may_lie() -> None:
    two = ((18, 20), (18, 21), (19, 22), (19, 23))
    assert found(Graph(24, (*FULL, *two), 0), 1) == []
    liar_and_leaf = ((19, 20), (19, 21), (3, 22))        # 3 has two of the kind for neighbors: 19, and its leaf
    assert found(Graph(23, (*FULL, *liar_and_leaf), 0), 1) == []


@pytest.mark.parametrize("through", [[19], [1, 2, 3], list(range(20))])
def test_a_crowd_of_keys_that_hang_together_is_left_out_whoever_they_hang_on(through: list[int]) -> None:
    joins = tuple((peer, 20 + 7 * i) for i, peer in enumerate(through))
    hung = Graph(520, (*FULL, *joins, *keys(20, 500)), 0)
    core = found(hung, 1)[-1]
    assert (core.n, core.left_out, core.overrun) == (20, 500, 0)


def test_a_bridge_that_people_have_wired_is_meant() -> None:
    """Rules that rank would leave both halves to themselves (robustness.md); what grew by itself has no bridges."""
    halves = Graph(20, tuple(edges("dumbbell", 20)))
    assert [core.n for core in found(halves, 1, wired=True)] == [20]
    assert {core.n for core in found(halves, 1)} == {20, 10}


def test_where_all_know_all_only_who_may_be_an_invention_of_liars_is_left_out() -> None:
    """With few neighbors the others are no crowd: three of a ring of triangles all know each other, too."""
    nine = Graph(13, (*edges("full", 9), (0, 9), (1, 10), (1, 11), (2, 12)), 4)
    assert [(core.n, core.left_out) for core in found(nine, 3)] == [(9, 4)]
    triangles = [(3 * i + a, 3 * i + b) for i in range(4) for a, b in combinations(range(3), 2)]
    ring = tuple(sorted((*triangles, (2, 3), (5, 6), (8, 9), (0, 11))))
    assert found(Graph(12, ring), 1, wired=True) == []


def test_a_graph_that_a_cut_shows_to_carry_nothing_is_not_asked_for_long() -> None:
    hung = Graph(1920, (*FULL, (19, 20), *keys(20, 1900)), 0)
    whole, mine = found(hung, 1)[:2]
    assert whole.n == 1920 <= BUDGET_PEERS_MAX
    assert not may_carry(whole, 4)
    assert may_carry(mine, 4)
    assert may_carry(Core(26, tuple(edges("two_worlds", 26, degree=8)), 0, (0,) * 26, 0, 0), 8)


def test_looking_at_a_full_directory_takes_less_than_a_second() -> None:
    hung = Graph(4096, (*FULL, (19, 20), *keys(20, 4076)), 0)
    before = time.process_time()
    assert found(hung, 1)[1].n == 20
    assert time.process_time() - before < 1


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A clique, and edges anywhere."""
    n = draw(st.integers(2, 16))
    inner = edges("full", draw(st.integers(1, n))) if n > 1 else []
    more = draw(st.sets(st.sampled_from(list(combinations(range(n), 2))), max_size=40))
    return Graph(n, tuple(sorted({*inner, *more})), draw(st.integers(0, n - 1)))


@given(graphs(), st.integers(1, 3), st.booleans())
def test_in_a_core_nobody_but_b_has_more_than_b_neighbors_that_are_left_out_or_count_as_liars(
    graph: Graph, b: int, wired: bool
) -> None:
    for core in cores(graph, b, few=4 * b, wired=wired):
        near = neighbors_of(core.n, core.edges)
        assert core.left_out == graph.n - core.n
        assert core.overrun <= b
        assert len(core.edges) == core.n * (core.n - 1) // 2 or min(map(len, near)) > 4 * b
        assert max(core.outside) <= b
        assert len(near[core.me]) + core.outside[core.me] == len(neighbors_of(graph.n, graph.edges)[graph.me])
