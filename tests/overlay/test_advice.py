"""An audit in words that a user can act on."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from overlay_samples import any_graphs

from gossipfl.overlay import Edge, articulation_points, audit, audit_schedule, edges, schedule, sentences

SEARCHED = "a search found no place where that is not so, which is no proof"
SPEED = "disagreement shrinks a thousandfold in"


def test_a_dumbbell_hears_of_the_one_edge_that_mends_all() -> None:
    said = sentences(audit(10, edges("dumbbell", 10)))
    assert said[:3] == [
        "losing peer 4 cuts off 4 peers: add the edge 3-6",
        "losing peer 5 cuts off 4 peers: the edge named above will do",
        "one edge, 4-5, holds the two halves together: the edge named above will do",
    ]


def test_a_star_hears_of_a_path_once_and_of_no_edge_besides() -> None:
    said = sentences(audit(7, edges("star", 7)))
    assert said[0].endswith("add the edges 1-2, 2-3, 3-4, 4-5 and 5-6")
    assert sum("holds 1 peer to the others: the edge named above will do" in one for one in said) == 5
    assert sum("add the edge" in one for one in said) == 1


def test_peers_are_called_by_their_names() -> None:
    said = sentences(audit(3, edges("line", 3)), names=["ann", "bob", "cy"])
    assert said[:2] == [
        "losing bob leaves each of its 2 neighbors alone: add the edge ann-cy",
        "one edge, ann-bob, holds 1 peer to the others: the edge named above will do",
    ]


def test_an_edge_that_mends_several_losses_is_asked_for_once() -> None:
    said = sentences(audit(9, [*edges("star", 6), (6, 7), (6, 8), (7, 8)]))
    asked = re.findall(r"\d+-\d+", " ".join(one.partition("add the edge")[2] for one in said))
    assert len(asked) == len(set(asked)) >= 5
    assert sum(one.endswith("the edge named above will do") for one in said) > 0


def test_an_edge_between_names_with_hyphens_has_blanks_around_its_own() -> None:
    said = sentences(audit(3, edges("line", 3)), names=["icu-1", "icu-2", "lab"])
    assert said[0] == "losing icu-2 leaves each of its 2 neighbors alone: add the edge icu-1 - lab"


def test_a_graph_in_pieces_hears_which_edges_join_them_and_that_it_never_agrees() -> None:
    said = sentences(audit(6, [(0, 1), (0, 2), (1, 2), (3, 4)]))
    assert said[:2] == [
        "the graph falls apart into 3 pieces of 3, 2 and 1 peers: add the edges 0-3 and 3-5",
        "no neighbor at all: peer 5",
    ]
    assert any("never dies out" in sentence for sentence in said)
    assert said[-1] == "about liars nothing can be said before the pieces are joined"
    assert not any("withstood" in sentence or "more neighbors" in sentence for sentence in said)


def test_pieces_of_one_size_are_told_by_it_and_lonely_peers_by_their_numbers() -> None:
    assert sentences(audit(6, [(0, 1), (0, 2), (1, 2), (3, 4), (4, 5), (3, 5)]))[0].startswith(
        "the graph falls apart into 2 pieces of 3 peers each: "
    )
    alone = sentences(audit(3, []))
    assert alone[0].startswith("the graph falls apart into 3 pieces of 1 peer each: ")
    assert alone[1] == "no neighbor at all: peers 0, 1 and 2"
    assert sentences(audit(2, []), names=["ann", "bob"])[1] == "no neighbor at all: ann and bob"


def test_a_loss_that_leaves_everybody_alone_or_several_parts_says_so() -> None:
    star = sentences(audit(9, edges("star", 9)))
    assert star[0].startswith("losing peer 0 leaves each of its 8 neighbors alone: add")
    tail = sentences(audit(5, [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4)]))
    assert tail[0].startswith("losing peer 3 cuts off 1 peer: add")
    three = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 5), (5, 6), (6, 7), (5, 7)]
    assert sentences(audit(8, three))[0].startswith("losing peer 2 cuts off 4 peers, in 2 parts: add")


def test_what_holds_well_is_told_to() -> None:
    assert sentences(audit(12, edges("full", 12))) == [
        "no single peer and no single edge holds the graph together",
        f"{SPEED} 1 round at worst",
        "2 liars can be withstood for sure wherever they sit with rule cs_plus, 1 with nna",
        "from 4 liars on, placed worst, no rule whatever can promise agreement on a graph such as this",
        "declaring 3 liars is not free even where nobody lies: 15% of the disagreement that plain gossip takes away "
        "would stay",
    ]
    assert sentences(audit(20, edges("full", 20)))[-1] == "declaring up to 3 liars costs nothing where nobody lies"


def test_a_long_list_is_told_by_its_worst_and_a_count() -> None:
    said = sentences(audit(30, edges("star", 30)))
    assert said[0].endswith(" neighbors alone: add the edges 1-2, 2-3, 3-4, 4-5, 5-6 and 23 more")
    assert said[6] == "24 more edges cannot be cut, each cutting off 1 peer"
    line = sentences(audit(30, edges("line", 30)))
    assert line[5] == "23 more peers cannot be lost, each cutting off 12 peers or fewer"


def test_a_slow_graph_hears_what_would_make_it_faster() -> None:
    assert f"{SPEED} 2,149 rounds at worst; edges between distant peers would shorten that" in sentences(
        audit(64, edges("ring", 64))
    )


def test_a_schedule_is_told_in_rounds_and_withstands_nobody() -> None:
    said = sentences(audit_schedule(16, schedule("one_peer_exponential", 16)))
    assert f"{SPEED} 4 rounds at worst" in said
    assert any(sentence.startswith("no liar is withstood for sure: that takes a graph") for sentence in said)
    assert said[0] == (
        "the edges change every round and come again after 4: but for speed and what is withstood, all that is said is "
        "about the edges of all rounds together"
    )
    assert not any("declaring" in sentence for sentence in said)


def test_a_ring_hears_that_declaring_a_liar_would_leave_everybody_alone_and_where_it_is_weakest() -> None:
    said = sentences(audit(16, edges("ring", 16)))
    assert "declaring 1 liar would leave everybody to themselves even where nobody lies: 100% of the disagreement " \
           "that plain gossip takes away would stay" in said  # fmt: skip
    found = audit(16, edges("ring", 16))
    for share, what in ((0.9, "would leave everybody to themselves"), (0.6, "would cost most of the agreement"),
                        (0.3, "is not free")):  # fmt: skip
        assert any(f"declaring 1 liar {what} even where" in one
                   for one in sentences(replace(found, isolation=(share, 1.0, 1.0))))  # fmt: skip
    assert any(re.fullmatch(r"the weakest cut parts peers .* from the other 8 by 2 edges: mu cannot exceed 0\.5", one)
               for one in said)  # fmt: skip
    assert any("placed worst, one would leave mu = 0.0437" in one for one in said)


@pytest.mark.parametrize(("proven", "proven_nna", "said"), [
    (2, 1, ["2 liars can be withstood for sure wherever they sit with rule cs_plus, 1 with nna"]),
    (1, 1, ["1 liar can be withstood for sure wherever it sits with rule cs_plus, 1 with nna",
            f"up to 2 liars with cs_plus are likely to be withstood, too: {SEARCHED}"]),
    (1, 0, ["1 liar can be withstood for sure wherever it sits with rule cs_plus, none with nna",
            f"up to 2 liars with cs_plus, 1 with nna are likely to be withstood, too: {SEARCHED}"]),
    (0, 0, [f"up to 2 liars with cs_plus, 1 with nna are likely to be withstood: {SEARCHED}"]),
])  # fmt: skip
def test_for_sure_is_said_of_what_is_proven_only(proven: int, proven_nna: int, said: list[str]) -> None:
    found = replace(audit(12, edges("full", 12)), proven_budget=proven, proven_budget_nna=proven_nna,
                    proven_in_use=proven)  # fmt: skip
    told = sentences(found)
    assert told[2 : 2 + len(said)] == said
    assert sum("withstood" in one for one in told) == len(said)


@pytest.mark.parametrize(("certified", "proven", "said"), [
    (1, 1, "1 liar is withstood for sure"), (0, 0, "no liar is withstood for sure"),
    (2, 1, "1 liar is withstood for sure, and up to 2 are likely to be"),
    (1, 0, "up to 1 liar is likely to be withstood"),
])  # fmt: skip
def test_what_the_weights_in_use_leave_of_it_is_told_as_carefully(certified: int, proven: int, said: str) -> None:
    found = replace(audit(12, edges("full", 12)), certified_in_use=certified, proven_in_use=proven)
    assert any("edges between hubs count less" in one and one.endswith(f"with the weights in use {said}")
               for one in sentences(found))  # fmt: skip


@pytest.mark.parametrize(("n", "graph"), [(1, []), (2, [(0, 1)]), (2, [])])
def test_one_or_two_peers_hear_no_nonsense(n: int, graph: list[Edge]) -> None:
    said = " ".join(sentences(audit(n, graph)))
    assert ("one edge, 0-1, is all that joins the two peers" in said) == bool(graph)
    assert "no single" not in said
    assert "more neighbors" not in said
    if n == 1:
        assert said == "a single peer has nobody to agree with, and no neighbor that could lie"


def test_too_few_peers_for_any_promise_hear_how_many_it_takes() -> None:
    for n in (2, 5):
        assert "no liar can be withstood among so few: it takes 6 peers who all know each other" in sentences(
            audit(n, edges("full", n))
        )
    assert not any("among so few" in sentence for sentence in sentences(audit(6, edges("ring", 6))))


@given(any_graphs(n_max=8))
@settings(deadline=None, max_examples=50)
def test_whoever_adds_the_edges_of_the_first_sentence_until_none_is_asked_for_cannot_be_cut(
    drawn: tuple[int, list[Edge]],
) -> None:
    n, graph = drawn
    while asked := [sentence for sentence in sentences(audit(n, graph)) if "add the edge" in sentence]:
        new = {(int(i), int(j)) for i, j in re.findall(r"(\d+)-(\d+)", asked[0].partition("add the edge")[2])}
        assert new
        assert not new & {*graph}
        graph = sorted({*graph, *new})
    found = audit(n, graph)
    assert len(found.components) == 1
    assert articulation_points(n, graph) == []
    assert found.bridges == () or n == 2
