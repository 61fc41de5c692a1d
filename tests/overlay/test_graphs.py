"""Static overlays: the edges are those of the kind, or the user hears which line is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.errors import ConfigError
from gossipfl.overlay import GRAPHS, Edge, custom, edges, is_connected


def degrees(n: int, graph: list[Edge]) -> list[int]:
    return [sum(peer in edge for edge in graph) for peer in range(n)]


@given(st.sampled_from(sorted(GRAPHS)), st.integers(4, 20).map(lambda half: 2 * half), st.integers(0, 9))
def test_every_kind_is_connected_and_names_each_edge_once_smaller_end_first(kind: str, n: int, seed: int) -> None:
    graph = edges(kind, n, degree=3, seed=seed)
    assert is_connected(n, graph)
    assert graph == sorted(set(graph))
    assert all(0 <= i < j < n for i, j in graph)


def test_the_kinds_are_what_their_names_say() -> None:
    assert edges("full", 4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert edges("ring", 4) == [(0, 1), (0, 3), (1, 2), (2, 3)]
    assert edges("line", 4) == [(0, 1), (1, 2), (2, 3)]
    assert edges("star", 4) == [(0, 1), (0, 2), (0, 3)]
    assert degrees(10, edges("random_regular", 10, degree=4)) == [4] * 10


@pytest.mark.parametrize("kind", ["full", "ring", "line", "star"])
def test_one_peer_has_no_edge_and_two_have_one(kind: str) -> None:
    assert edges(kind, 1) == []
    assert edges(kind, 2) == [(0, 1)]


def test_a_random_graph_is_its_seeds() -> None:
    assert edges("random_regular", 20, degree=4, seed=1) == edges("random_regular", 20, degree=4, seed=1)
    assert edges("random_regular", 20, degree=4, seed=1) != edges("random_regular", 20, degree=4, seed=2)


@pytest.mark.parametrize(("n", "degree"), [(5, 3), (5, 5), (5, 0), (4, 1)])
def test_a_degree_that_no_connected_graph_has_is_refused(n: int, degree: int) -> None:
    with pytest.raises(ConfigError, match=r"overlay\.degree"):
        edges("random_regular", n, degree=degree)


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


def test_connected_means_a_way_between_any_two() -> None:
    assert is_connected(4, [(2, 3), (0, 1), (1, 2)])
    assert not is_connected(4, [(0, 1), (2, 3)])
    assert not is_connected(2, [])
    assert is_connected(1, [])
