"""Edges to add: afterwards the wanted number of liars is withstood, and no edge is asked for twice or in vain."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from overlay_samples import any_graphs

from gossipfl.errors import ConfigError
from gossipfl.overlay import Edge, budgets, edges, edges_to_withstand
from gossipfl.overlay.structure import neighbors_of


@given(any_graphs(n_max=14), st.integers(1, 2))
@settings(deadline=None, max_examples=25)
def test_with_the_edges_that_are_named_the_liars_are_withstood(drawn: tuple[int, list[Edge]], b: int) -> None:
    n, graph = drawn
    assume(n > 5 * b)
    new = edges_to_withstand(n, graph, b)
    assert not {*new} & {*graph}
    assert new == sorted({*new})
    assert all(0 <= i < j < n for i, j in new)
    found = budgets(n, sorted([*graph, *new]))
    assert found.certified_in_use >= b                   # what `auto` goes by
    assert found.proven_in_use >= b
    assert found.proven_budget >= b


def test_a_graph_that_withstands_them_already_is_asked_for_nothing() -> None:
    assert edges_to_withstand(26, edges("two_worlds", 26, degree=8), 3) == []


@pytest.mark.parametrize(("n", "b"), [(5, 1), (10, 2), (1, 1)])
def test_too_few_peers_hear_how_many_it_takes(n: int, b: int) -> None:
    with pytest.raises(ConfigError, match=f"it takes {5 * b + 1} peers"):
        edges_to_withstand(n, edges("ring", n), b)


def test_no_edge_that_is_named_can_be_left_out_of_a_small_graph() -> None:
    graph = edges("ring", 10)
    new = edges_to_withstand(10, graph, 1)
    for edge in new:
        assert budgets(10, sorted({*graph, *new} - {edge})).certified_in_use == 0


def test_a_ring_of_32_is_mended_with_few_edges_that_are_spread_evenly() -> None:
    graph = edges("ring", 32)
    new = edges_to_withstand(32, graph, 1)
    degrees = [len(others) for others in neighbors_of(32, [*graph, *new])]
    assert len(new) < 100
    assert max(degrees) - min(degrees) <= 3
    assert max(degrees) < 11


def test_500_peers_are_mended_in_steps_that_are_told_with_few_edges() -> None:
    n, said = 500, list[str]()
    graph = sorted({(min(i, j), max(i, j)) for i in range(n) for j in ((i + 1) % n, (i + 2) % n, (i + 3) % n)})
    new = edges_to_withstand(n, graph, 2, said.append)
    degrees = [len(others) for others in neighbors_of(n, [*graph, *new])]
    assert len(new) < 2700
    assert max(degrees) <= 18
    assert 20 < len(said) < 150                          # one decomposition of 500 x 500 each
    assert said[-1].endswith("placements of liars")


def test_where_the_least_joined_lie_among_peers_who_all_know_each_other_they_are_joined_more() -> None:
    clique = [(i, j) for i in range(11) for j in range(i + 1, 11)]
    graph = sorted([*clique, (0, 11), (1, 12)])          # all weights are relative to the two that hang on
    new = edges_to_withstand(13, graph, 2)
    assert budgets(13, sorted([*graph, *new])).certified_in_use >= 2
