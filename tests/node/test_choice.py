"""rule = "auto": the graph is asked before the rule, and the sentence that is told holds the numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl import aggregation
from gossipfl.node.choice import WARM_UP_ROUNDS, Radius, choose, typical_distance
from gossipfl.overlay import budgets, edges

KINDS = {"full": 6, "ring": 2, "two_worlds": 3, "dumbbell": 6, "torus": 4, "random_regular": 5, "star": 1}


def chosen(kind: str, n: int, b: int, degree: int = 6, **named: object) -> tuple[str, tuple[str, ...], str, str]:
    choice = choose(n, edges(kind, n, degree=degree), b, **named)  # type: ignore[arg-type]
    return choice.rule, choice.pre, choice.standing, choice.why


def test_where_nobody_is_declared_to_lie_it_is_plain_gossip_on_any_graph_and_no_figure_is_computed() -> None:
    choice = choose(3, [], 0)
    assert (choice.rule, choice.pre, choice.standing, choice.carried) == ("mean", (), "honest", None)
    assert "byzantine_max is 0" in choice.why


def test_a_graph_that_certifies_the_liars_gets_cs_plus_and_the_numbers() -> None:
    rule, pre, standing, why = chosen("two_worlds", 26, 2, degree=8)
    assert (rule, pre, standing) == ("cs_plus", (), "certified")
    assert why == ("certified: cs_plus withstands 2 liars wherever among the 26 peers they sit "
                   "(placed worst, they leave mu = 14.32 against 8)")  # fmt: skip


def test_where_all_hear_all_more_than_is_certified_gets_a_rule_of_sets() -> None:
    rule, pre, standing, why = chosen("full", 10, 2)
    assert (rule, pre, standing) == ("trimmed_mean", ("nnm",), "damage-limited")
    assert "certified for 1 liar, not for 2 (placed worst, they leave mu = 8 against 8)" in why
    assert "proven a liar and banned" in why


def test_a_sparse_graph_gets_clipping_and_hears_that_nothing_is_promised() -> None:
    assert chosen("two_worlds", 26, 4, degree=8)[:3] == ("clipping", (), "damage-limited")
    rule, pre, standing, why = chosen("ring", 16, 1)
    assert (rule, pre, standing) == ("clipping", (), "impossible")
    assert why.startswith("impossible: from 1 liar on no rule can promise agreement on such a graph of 16 peers")


@pytest.mark.parametrize(
    ("n", "b", "rule"),
    [
        (32, 8, "trimmed_mean"), (33, 8, "clipping"), (9, 4, "trimmed_mean"), (8, 4, "clipping"), (20, 3, "cs_plus"),
        (20, 4, "trimmed_mean"),
    ],
)  # fmt: skip
def test_a_complete_graph_gets_the_rule_of_its_size(n: int, b: int, rule: str) -> None:
    assert chosen("full", n, b)[0] == rule


@pytest.mark.parametrize(("n", "b", "remedy"), [
    (10, 1, "which edges a certificate takes, for cs_plus, gossipfl topology audit --want 1 says"),
    (5, 1, "a certificate, for cs_plus, takes 6 peers who all know each other"),
])  # fmt: skip
def test_a_promise_that_cannot_be_given_comes_with_what_would_make_it_one(n: int, b: int, remedy: str) -> None:
    found = choose(n, edges("ring", n), b)
    assert remedy in found.why
    assert "aggregation.alone_every" in found.why        # impossible here, so notice at least
    assert choose(6, edges("full", 6), 1).standing == "certified"


def test_a_named_rule_is_never_replaced_only_told() -> None:
    assert chosen("full", 10, 1, rule="nna")[2:] == (
        "certified",
        "certified: nna withstands 1 liar wherever among the 10 peers they sit (placed worst, they leave mu = 9 "
        "against 8)",
    )
    assert "for 2 liars with cs_plus; krum has no such certificate" in chosen("full", 11, 1, rule="krum")[3]
    rule, pre, standing, why = chosen("full", 20, 3, rule="nna")
    assert (rule, pre, standing) == ("nna", (), "damage-limited")
    assert "nna is certified for 2 liars here" in why
    assert chosen("full", 10, 1, rule="cs_plus", pre=("bucketing",))[1:3] == (("bucketing",), "damage-limited")
    assert chosen("full", 10, 1, rule="mean")[2] == "unprotected"
    assert "a mean follows a single liar anywhere" in chosen("full", 10, 1, rule="mean")[3]
    assert chosen("ring", 9, 1, rule="median")[::2] == ("median", "impossible")


def test_a_graph_too_large_to_be_judged_is_not_certified() -> None:
    choice = choose(2001, [], 1)
    assert (choice.rule, choice.standing) == ("clipping", "damage-limited")
    assert "up to 2000 peers, and here are 2001" in choice.why
    assert choose(2001, [], 1, rule="median").rule == "median"


@given(st.sampled_from(sorted(KINDS)), st.integers(9, 30), st.integers(0, 6))
@settings(deadline=None, max_examples=60)
def test_whatever_is_chosen_can_be_run_and_is_certified_only_if_the_graph_is(kind: str, n: int, b: int) -> None:
    n = {"torus": 16, "two_worlds": 2 * (n // 2), "random_regular": 2 * (n // 2)}.get(kind, n)
    graph = edges(kind, n, degree=KINDS[kind])
    choice, carried = choose(n, graph, b), budgets(n, graph)
    assert (choice.standing == "certified") == (0 < b <= carried.certified_budget)
    assert (choice.standing == "honest") == (b == 0)
    assert choice.why.startswith(f"{choice.standing}: ")
    assert choice.standing != "impossible" or b >= (carried.impossible_budget or 0)
    degree_min = min(sum(peer in edge for edge in graph) for peer in range(n))
    aggregation.check(choice.rule, choice.pre, b, degree_min)


@pytest.mark.parametrize(("rule", "b", "proven", "said"), [
    ("cs_plus", 3, 2, "there is a proof for 2 only"), ("nna", 1, 0, "there is no proof"),
])  # fmt: skip
def test_a_certificate_that_rests_on_a_search_does_not_say_wherever(rule: str, b: int, proven: int, said: str) -> None:
    found = replace(budgets(26, edges("two_worlds", 26, degree=8)), proven_in_use=2, proven_in_use_nna=0)
    why = choose(26, [], b, rule=rule, carried=found).why
    assert why.startswith(f"certified: {rule} withstands {b} liar")
    assert "wherever" not in why
    assert why.endswith(f"in every place that a search found, which may have overlooked a worse one: {said}")
    assert "wherever" in choose(26, [], proven, rule="cs_plus", carried=found).why or not proven


def test_figures_that_are_known_are_not_computed_again() -> None:
    told = budgets(26, edges("two_worlds", 26, degree=8))
    assert choose(26, [], 3, carried=told).standing == "certified"


def test_the_radius_is_half_the_mean_of_the_first_distances_and_then_stays() -> None:
    radius = Radius()
    assert radius.tau == 0
    assert [radius.feed([distance]) for distance in (2.0, 3.0, 4.0)] == [1.0, 1.25, 1.5]
    assert [radius.feed(distances) for distances in ([1e9], [0.0], [])] == [1.5, 1.5, 1.5]


def test_where_hardly_anything_is_measured_the_least_radius_holds_and_shrinks_as_any() -> None:
    radius = Radius(least=1.0, decay=0.5)
    assert radius.tau == 1.0
    assert [radius.feed([distance]) for distance in (0.1, 0.1, 0.1, 0.1, 9.0)] == [1.0, 1.0, 1.0, 0.5, 0.25]
    assert Radius(least=1.0).feed([4.0]) == 2.0


def test_a_round_in_which_nobody_was_heard_measures_nothing() -> None:
    radius = Radius()
    assert [radius.feed(distances) for distances in ([], [math.inf], [math.nan], [2.0])] == [0, 0, 0, 1.0]


def test_a_liar_that_is_alone_at_first_sets_no_radius() -> None:
    radius = Radius(least=1.0, byzantine_max=1)
    assert [radius.feed([8000.0]) for _ in range(5)] == [1.0] * 5, "everybody who is heard may lie"
    assert [radius.feed([8000.0, 3.0, 3.0, 3.0]) for _ in range(5)] == [1.5] * 5


def test_of_two_neighbors_of_whom_one_may_lie_the_nearer_counts() -> None:
    radius = Radius(byzantine_max=1)
    assert [radius.feed([3.0, 8000.0]) for _ in range(5)] == [1.5] * 5


def test_a_lie_among_few_keeps_the_radius_small_only_until_enough_are_heard() -> None:
    radius = Radius(byzantine_max=1)
    assert [radius.feed([0.0, 4.0]) for _ in range(5)] == [0.0] * 5, "which of the two lies?"
    assert [radius.feed([0.0, 4.0, 4.0]) for _ in range(3)] == [2.0] * 3
    assert [radius.feed([8.0, 8.0, 8.0]) for _ in range(3)] == [2.0] * 3, "and never anew again"


def test_a_round_with_few_neighbors_does_not_count_among_those_with_enough() -> None:
    radius = Radius(byzantine_max=1)
    radius.feed([4.0, 4.0, 4.0])
    assert [radius.feed(distances) for distances in ([0.0, 4.0], [0.0, 4.0], [0.0])] == [2.0] * 3
    assert [radius.feed([8.0, 8.0, 8.0]) for _ in range(3)] == [3.0, 10 / 3, 10 / 3]


def test_a_later_round_counts_no_more_than_twice_those_before_unless_these_were_nothing() -> None:
    radius = Radius()
    assert [radius.feed([distance]) for distance in (1.0, 1e9, 1e9)] == [0.5, 0.75, 1.0]
    radius = Radius()
    assert [radius.feed([distance]) for distance in (0.0, 3.0, 1e9)] == [0.0, 0.75, 1.0]


HEARD = st.lists(st.floats(0, 1e6), max_size=6)


@given(st.lists(st.tuples(HEARD, st.lists(st.floats(0), max_size=2)), max_size=12), st.floats(0, 1))
def test_no_liars_within_the_budget_raise_the_radius_and_after_the_warm_up_it_never_grows(
    heard: list[tuple[list[float], list[float]]], decay: float
) -> None:
    radius = Radius(decay=decay, byzantine_max=2)
    before, counted, farthest = 0.0, 0, max((distance for honest, _ in heard for distance in honest), default=0.0)
    for honest, lies in heard:
        was_sure, tau = radius.is_sure, radius.feed([*honest, *lies])
        assert tau <= radius.ratio * farthest * (1 + 1e-9)
        if counted >= WARM_UP_ROUNDS and was_sure == radius.is_sure:
            assert tau <= before
        before, counted = tau, radius.rounds


@given(st.lists(HEARD, max_size=8), st.lists(HEARD, max_size=8))
def test_a_radius_goes_on_from_its_checkpoint(before: list[list[float]], after: list[list[float]]) -> None:
    radius, again = Radius(decay=0.9, byzantine_max=1), Radius(decay=0.9, byzantine_max=1)
    for distances in before:
        radius.feed(distances)
    again.restore(radius.state())
    assert [again.feed(distances) for distances in after] == [radius.feed(distances) for distances in after]


@pytest.mark.parametrize("state", [
    (math.nan, 1.0, 1.0), (1.0, math.inf, 1.0), (-1.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, math.nan), (4.0, 3.0),
    (),
])  # fmt: skip
def test_a_checkpoint_that_is_none_begins_anew(state: tuple[float, ...]) -> None:
    radius = Radius()
    radius.restore(state)
    assert radius.state() == (0.0, 0.0, 0.0)


@given(st.lists(st.floats(0, 1e6), max_size=10), st.integers(0, 4), st.data())
def test_the_typical_distance_is_none_that_liars_could_raise(honest: list[float], b: int, data: st.DataObject) -> None:
    lies = data.draw(st.lists(st.floats(0, 1e30), max_size=b))
    told = typical_distance([*honest, *lies], b)
    assert (told is None) == (len(honest) + len(lies) <= b)
    assert told is None or told <= max(honest)
    if told is not None and len(honest) + len(lies) > 2 * b:
        assert told >= min(honest)


def test_the_typical_distance_is_the_lower_median() -> None:
    assert typical_distance([3, 1, 2, 4], 0) == 2
    assert typical_distance([3, 1, math.inf], 0) == 1
    assert typical_distance([], 1) is None
    assert typical_distance([3], 1) is None
    assert typical_distance([3, 1], 1) == 1
