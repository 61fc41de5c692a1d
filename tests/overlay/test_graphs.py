"""Static overlays: the edges are those of the kind, or the user hears which line is wrong."""

from __future__ import annotations

import math
import random

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from overlay_samples import Kind, graph_of, kinds

from gossipfl.errors import ConfigError
from gossipfl.overlay import GRAPHS, Edge, custom, edges
from gossipfl.overlay.random_graphs import within

RANDOM = {"random_regular", "erdos_renyi", "small_world", "scale_free", "random_geometric"}


def degrees(n: int, graph: list[Edge]) -> list[int]:
    return [sum(peer in edge for edge in graph) for peer in range(n)]


@given(kinds())
def test_every_kind_is_connected_and_names_each_edge_once_smaller_end_first(kind: Kind) -> None:
    graph = kind.edges
    assert networkx.is_connected(graph_of(kind.n, graph))
    assert graph == sorted(set(graph))
    assert all(0 <= i < j < kind.n for i, j in graph)


def test_the_kinds_are_what_their_names_say() -> None:
    assert edges("full", 4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert edges("ring", 4) == [(0, 1), (0, 3), (1, 2), (2, 3)]
    assert edges("line", 4) == [(0, 1), (1, 2), (2, 3)]
    assert edges("star", 4) == [(0, 1), (0, 2), (0, 3)]
    assert edges("grid", 5) == [(0, 1), (0, 3), (1, 2), (1, 4), (3, 4)]
    assert edges("dumbbell", 6) == [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5)]
    assert edges("exponential", 6) == sorted({*edges("full", 6)} - {(0, 3), (1, 4), (2, 5)})
    assert edges("one_peer_exponential", 4) == [(0, 1), (0, 2), (1, 3), (2, 3)]


@pytest.mark.parametrize("kind", sorted({*GRAPHS} - {"torus", "two_worlds", "ring_of_cliques", *RANDOM}))
def test_two_peers_have_one_edge(kind: str) -> None:
    assert edges(kind, 2) == [(0, 1)]


@pytest.mark.parametrize("kind", ["full", "ring", "line", "star", "grid", "exponential", "dumbbell"])
def test_one_peer_has_no_edge(kind: str) -> None:
    assert edges(kind, 1) == []


@given(kinds(*RANDOM))
def test_a_random_graph_is_its_seeds(kind: Kind) -> None:
    assert kind.edges == kind.edges


@pytest.mark.parametrize("kind", sorted(RANDOM))
def test_another_seed_is_another_graph(kind: str) -> None:
    assert edges(kind, 20, degree=6, seed=1) != edges(kind, 20, degree=6, seed=2)


@given(kinds("random_regular"))
def test_a_random_regular_graph_has_the_degree_everywhere(kind: Kind) -> None:
    assert set(degrees(kind.n, kind.edges)) == {kind.degree}


@given(kinds("small_world"))
def test_a_small_world_has_the_degree_on_average_and_some_edges_of_the_ring(kind: Kind) -> None:
    graph = kind.edges
    assert 2 * len(graph) == kind.n * kind.degree
    assert {*graph} & {*edges("ring", kind.n)}


def test_a_small_world_leads_about_a_tenth_of_its_edges_astray() -> None:
    n, degree = 1000, 6
    near = sum(min(j - i, n - j + i) <= degree // 2 for i, j in edges("small_world", n, degree=degree))
    assert 0.87 < near / (n * degree / 2) < 0.93


def test_an_erdos_renyi_graph_has_the_degree_on_average() -> None:
    assert 2 * len(edges("erdos_renyi", 600, degree=20)) / 600 == pytest.approx(20, rel=0.05)
    assert edges("erdos_renyi", 7, degree=6) == edges("full", 7)


@given(st.integers(1, 200))
def test_a_grid_is_square_but_for_its_last_row(n: int) -> None:
    columns = math.ceil(math.sqrt(n))
    whole = networkx.grid_2d_graph(math.ceil(n / columns), columns)
    inside = {(row, column): row * columns + column for row, column in whole if row * columns + column < n}
    assert edges("grid", n) == sorted((inside[a], inside[b]) for a, b in whole.subgraph(inside).edges)


@pytest.mark.parametrize(("n", "rows", "columns"), [(9, 3, 3), (12, 3, 4), (24, 4, 6), (36, 6, 6), (33, 3, 11)])
def test_a_torus_is_a_grid_without_a_rim_as_square_as_can_be(n: int, rows: int, columns: int) -> None:
    graph = graph_of(n, edges("torus", n))
    assert networkx.is_isomorphic(graph, networkx.grid_2d_graph(rows, columns, periodic=True))
    assert {degree for _, degree in graph.degree} == {4}


@given(st.integers(1, 60))
def test_an_exponential_graph_joins_all_that_are_a_power_of_two_apart(n: int) -> None:
    graph = set(edges("exponential", n))
    powers = {2**k for k in range(10) if 2**k < n}
    apart = powers | {n - power for power in powers}
    assert graph == {(i, j) for i in range(n) for j in range(i + 1, n) if j - i in apart}


@given(st.integers(1, 30))
def test_a_dumbbell_is_two_cliques_and_one_edge(n: int) -> None:
    first = (n + 1) // 2
    crossing = [(i, j) for i, j in edges("dumbbell", n) if i < first <= j]
    assert crossing == [(first - 1, first)][: n - 1]
    assert len(edges("dumbbell", n)) == math.comb(first, 2) + math.comb(n - first, 2) + len(crossing)


@given(st.integers(1, 12), st.data())
def test_two_worlds_are_two_cliques_whose_links_are_shared_evenly_and_the_bottleneck(
    half: int, data: st.DataObject
) -> None:
    links = data.draw(st.integers(1, half))
    graph = edges("two_worlds", 2 * half, degree=links)
    crossing = [(i, j) for i, j in graph if i < half <= j]
    assert len(graph) - len(crossing) == half * (half - 1)
    assert [sum(peer in edge for edge in crossing) for peer in range(2 * half)] == [links] * 2 * half
    assert networkx.algebraic_connectivity(graph_of(2 * half, graph), method="lanczos") == pytest.approx(2 * links)


@given(st.integers(1, 6), st.integers(3, 8))
def test_a_ring_of_cliques_has_one_edge_from_each_clique_to_the_next(degree: int, cliques: int) -> None:
    size = degree + 1
    graph = edges("ring_of_cliques", cliques * size, degree=degree)
    crossing = {(i // size, j // size) for i, j in graph if i // size != j // size}
    assert crossing == {*edges("ring", cliques)}
    assert len(graph) == cliques * math.comb(size, 2) + cliques
    assert max(degrees(cliques * size, graph)) == degree + 1


@pytest.mark.parametrize("seed", range(5))
def test_a_scale_free_graph_is_that_of_barabasi_and_albert(seed: int) -> None:
    theirs = networkx.barabasi_albert_graph(50, 2, seed=seed).edges
    assert edges("scale_free", 50, degree=4, seed=seed) == sorted((min(pair), max(pair)) for pair in theirs)


@pytest.mark.parametrize("seed", range(5))
def test_points_that_are_near_are_the_first_connected_ones_of_networkx(seed: int) -> None:
    dice = random.Random(seed)
    theirs = networkx.random_geometric_graph(50, 0.17, seed=dice)
    while not networkx.is_connected(theirs):
        theirs = networkx.random_geometric_graph(50, 0.17, seed=dice)
    assert sorted(within(0.17, 50, seed)) == sorted((min(pair), max(pair)) for pair in theirs.edges)


def test_a_random_geometric_graph_has_the_degree_on_average_but_at_the_rim() -> None:
    mean = 2 * len(edges("random_geometric", 1000, degree=16)) / 1000
    assert 14 < mean < 16


@pytest.mark.parametrize("n", [20, 100, 400])
def test_the_degree_that_a_random_geometric_graph_is_told_to_have_is_enough(n: int) -> None:
    with pytest.raises(ConfigError, match="do not hang together; raise it to") as refused:
        edges("random_geometric", n, degree=1)
    enough = int(str(refused.value).rpartition(" ")[2])
    assert networkx.is_connected(graph_of(n, edges("random_geometric", n, degree=enough)))


@pytest.mark.parametrize(
    ("kind", "n", "degree", "complaint"),
    [
        ("two_worlds", 7, 2, "an even number of peers"),
        ("two_worlds", 6, 4, "6 peers with 4 links are not"),
        ("two_worlds", 6, 0, "6 peers with 0 links are not"),
        ("random_regular", 5, 3, "must be even where the peers are 5, an odd number, not 3"),
        ("random_regular", 5, 5, "must be 1 or more and below the 5 peers, not 5"),
        ("random_regular", 5, 0, "below the 5 peers, not 0"),
        ("random_regular", 4, 1, "do not hang together; raise it"),
        ("erdos_renyi", 5, 5, "cannot have 5 neighbors on average"),
        ("erdos_renyi", 5, 0, "cannot have 0 neighbors on average"),
        ("erdos_renyi", 100, 2, "do not hang together; raise it to 6"),
        ("small_world", 9, 3, "must be even, 2 or more and below the 9 peers, not 3"),
        ("small_world", 4, 4, "below the 4 peers"),
        ("small_world", 9, 0, "2 or more"),
        ("scale_free", 9, 3, "must be even, 2 or more and below the 9 peers, not 3"),
        ("scale_free", 4, 4, "below the 4 peers"),
        ("random_geometric", 5, 5, "cannot have 5 neighbors on average"),
        ("random_geometric", 1, 1, "cannot have 1 neighbors on average"),
    ],
)
def test_a_degree_that_no_connected_graph_has_is_refused(kind: str, n: int, degree: int, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        edges(kind, n, degree=degree)
    assert str(refused.value).startswith("overlay.degree: ")
    assert complaint in str(refused.value)


def test_the_degree_that_an_erdos_renyi_graph_is_told_to_have_is_enough() -> None:
    assert networkx.is_connected(graph_of(100, edges("erdos_renyi", 100, degree=6)))


@pytest.mark.parametrize(
    ("kind", "n", "nearest"),
    [
        ("torus", 1, "9 are"), ("torus", 10, "9 and 12 are"), ("torus", 22, "21 and 24 are"), ("torus", 8, "9 are"),
        ("ring_of_cliques", 1, "21 are"), ("ring_of_cliques", 20, "21 are"), ("ring_of_cliques", 25, "21 and 28 are"),
        ("one_peer_exponential", 1, "2 are"), ("one_peer_exponential", 6, "4 and 8 are"),
        ("one_peer_exponential", 1000, "512 and 1024 are"),
    ],
)  # fmt: skip
def test_a_number_of_peers_that_does_not_fit_is_refused_with_the_nearest_that_do(
    kind: str, n: int, nearest: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        edges(kind, n)
    assert str(refused.value).startswith("overlay.kind: ")
    assert str(refused.value).endswith(nearest)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"overlay\.kind: no graph 'mesh'; there are full, ring"):
        edges("mesh", 4)


def test_custom_edges_are_sorted_smaller_end_first() -> None:
    assert custom([[2, 0], [1, 2]], 3) == [(0, 2), (1, 2)]


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        ([[0, 1], [1, 1]], r"overlay.edges\[1\]: \[1, 1\] does not join"),
        ([[0, 3]], r"overlay.edges\[0\]: .* peers 0 to 2"),
        ([[-1, 1]], r"overlay.edges\[0\]"),
        ([[0, 1, 2]], r"overlay.edges\[0\]"),
        ([[0, 1], [1, 2], [1, 0]], r"overlay.edges\[2\]: \[0, 1\] stands there twice"),
        ([[0, 1]], r"overlay.edges: peer 2 has no neighbor"),
    ],
)
def test_custom_edges_that_are_none_are_refused_with_their_place(pairs: list[list[int]], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        custom(pairs, 3)
