"""Who averages with whom: named edges, a mesh while there are few, a symmetric random view above that."""

import random

import networkx
import numpy as np
import pytest
from network import Network, identities
from puppet import Stranger, Subject, loud, sends

from gossipfl.config import LivenessConfig, NodeConfig, OverlayConfig
from gossipfl.protocol import events as ev
from gossipfl.protocol.view import View
from gossipfl.wire.messages import Announce, Disconnect, Neighbor, Records

OVERLAY = OverlayConfig()
DEGREE = range(OVERLAY.degree - 1, OVERLAY.degree + OVERLAY.degree_slack + 1)
PEERS = [identity.peer_id for identity in identities(40)]
ASK, URGENT = Neighbor(kind="ask"), Neighbor(kind="ask", urgent=True)
AGREE, DECLINE = Neighbor(kind="agree"), Neighbor(kind="decline")


def graph_of(nodes):
    """The undirected graph of those that run; every edge must be claimed by both ends."""
    running = {node.name: node for node in nodes if node.is_running}
    for node in running.values():
        assert node.neighbors <= running.keys(), "a neighbor that is dead"
        assert all(node.name in running[other].neighbors for other in node.neighbors), "an edge with one end"
    graph = networkx.Graph((node.name, other) for node in running.values() for other in node.neighbors)
    graph.add_nodes_from(running)
    return graph


def is_settled(nodes):
    try:
        degrees = dict(graph_of(nodes).degree).values()
    except AssertionError:
        return False
    return all(degree in DEGREE for degree in degrees)


def an_overlay(seed, count, **more):
    network = Network(seed)
    nodes = network.add(count, learns=False, **more)
    network.introduce_all()
    return network, nodes


# ------------------------------------------------------------------------------------------------------- static


def static(*others):
    return NodeConfig(overlay=OverlayConfig(kind="static", neighbors=tuple(str(other) for other in others)))


def test_named_neighbors_and_nobody_else():
    network = Network(1)
    nodes = network.add(6, start=False, learns=False)
    for index, node in enumerate(nodes):
        node.options = static(nodes[index - 1].name, nodes[(index + 1) % 6].name)
        node.start()
    network.introduce_all()
    network.run(10)
    ring = graph_of(nodes)
    assert all(degree == 2 for _, degree in ring.degree)
    assert networkx.is_connected(ring)


def test_whoever_is_not_named_is_declined():
    named, other = Stranger(1), Stranger(2)
    subject = Subject(static(named.name))
    assert sends(subject.hears(subject.link(other), ASK), Neighbor) == [DECLINE]
    subject.link(named)
    assert subject.neighbors == {named.name}


def test_an_edge_that_only_one_end_names_is_told_and_dropped():
    network = Network(2)
    one, other, third = network.add(3, start=False)
    one.options, other.options, third.options = static(other.name), static(third.name), static(other.name)
    for node in (one, other, third):
        node.start()
    network.introduce_all()
    network.run(20)
    assert one.neighbors == set()
    assert len(one.told("does not name me")) == 1
    assert other.neighbors == {third.name}


# --------------------------------------------------------------------------------------------------------- mesh


@pytest.mark.parametrize("count", [2, 5, 8])
def test_up_to_eight_peers_are_a_full_mesh(count):
    network, nodes = an_overlay(count, count)
    assert network.until(lambda: all(len(node.neighbors) == count - 1 for node in nodes), 5)
    assert all(degree == count - 1 for _, degree in graph_of(nodes).degree)


def test_a_mesh_outlives_its_dead_and_takes_them_back():
    network, nodes = an_overlay(3, 6)
    network.run(5)
    for node in nodes[:2]:
        node.crash(power=True)
    network.run(60)
    assert all(degree == 3 for _, degree in graph_of(nodes).degree)
    for node in nodes[:2]:
        node.start()
    network.introduce_all()
    assert network.until(lambda: all(len(node.neighbors) == 5 for node in nodes), 30)


def test_a_mesh_that_outgrows_itself_becomes_an_overlay():
    network, nodes = an_overlay(4, 6)
    network.run(10)
    for _ in range(12):
        nodes += network.add(1, learns=False)
        network.introduce(nodes[-1], nodes[0])
        network.run(2)
    assert network.until(lambda: is_settled(nodes), 60)
    assert networkx.is_connected(graph_of(nodes))


# ------------------------------------------------------------------------------------------------------ overlay


@pytest.mark.parametrize(("count", "seed"), [(10, 0), (10, 1), (10, 2), (20, 0), (20, 1), (40, 0)])
def test_every_degree_lands_near_the_one_that_was_asked_for(count, seed):
    network, nodes = an_overlay(seed, count)
    assert network.until(lambda: is_settled(nodes), 60)
    network.run(60)
    assert is_settled(nodes)
    assert networkx.is_connected(graph_of(nodes))
    assert all(node.complaints() == [] for node in nodes)


def test_an_overlay_grown_through_one_peer_is_no_star():
    network = Network(7)
    nodes = network.add(30, learns=False)
    for node in nodes[1:]:
        network.introduce(node, nodes[0])
    assert network.until(lambda: is_settled(nodes), 90)
    graph = graph_of(nodes)
    assert graph.degree[nodes[0].name] <= DEGREE[-1]
    # A random 6-regular graph of 30 has a second-largest eigenvalue of about 0.7; a star with chords is near 1.
    eigenvalues = np.linalg.eigvalsh(networkx.normalized_laplacian_matrix(graph).toarray())
    assert np.sort(eigenvalues)[1] > 0.15


@pytest.mark.parametrize("seed", range(2))
def test_an_overlay_survives_the_death_of_a_third(seed):
    network, nodes = an_overlay(seed, 30)
    network.run(20)
    for node in network.dice.sample(nodes, 10):
        node.crash(power=True)
    network.run(60)
    assert is_settled(nodes)
    assert networkx.is_connected(graph_of(nodes))


def test_rewiring_changes_edges_and_keeps_degrees():
    network, nodes = an_overlay(5, 20)
    network.run(20)
    before = set(map(frozenset, graph_of(nodes).edges))
    for _ in range(5):
        for node in nodes:
            node.peer.membership.rewire()
        network.run(20)
    after = graph_of(nodes)
    assert is_settled(nodes)
    assert networkx.is_connected(after)
    assert len(before & set(map(frozenset, after.edges))) < len(before) / 2


def test_links_that_serve_no_averaging_are_closed_when_idle():
    network, nodes = an_overlay(6, 30, options=NodeConfig(liveness=LivenessConfig(idle_link_s=20.0)))
    network.run(120)
    spare = [len(node.linked - node.neighbors) for node in nodes]
    assert sum(spare) / 30 <= 2
    assert is_settled(nodes)


def test_some_neighbors_are_always_of_my_own_choice():
    view = View(OVERLAY, random.Random(1))
    for peer in PEERS[:20]:
        view.answer(peer, URGENT, PEERS[:20])
    assert len(view.neighbors) <= OVERLAY.degree + OVERLAY.degree_slack - OVERLAY.dialed_min + 1


def test_an_open_ask_keeps_its_place():
    view = View(OVERLAY, random.Random(1))
    asked = view.asks(PEERS[:6], 20, 0.0)
    assert len(asked) == 6
    answers = [view.answer(peer, ASK, PEERS[:20]).kind for peer in PEERS[6:16]]
    for peer in asked:
        view.answered(peer, AGREE, 1.0)
    assert answers.count("agree") == OVERLAY.degree_slack
    assert len(view.neighbors) == OVERLAY.degree + OVERLAY.degree_slack


# ------------------------------------------------------------------------------------- urgent is the asker's own word


def a_full_subject(count=8):
    """Above the mesh, with as many neighbors as it accepts, most of its own choice.  Returns their links too."""
    subject = Subject(NodeConfig(overlay=OverlayConfig(mesh_peers_max=4)))
    others = [Stranger(number) for number in range(1, count + 1)]
    numbers = {stranger.name: subject.befriend(stranger) for stranger in others}
    return subject, others, numbers


def test_whomever_i_exchanged_stays_away_for_a_while_even_if_it_is_urgent():
    subject, others, numbers = a_full_subject()
    newcomer = Stranger(20)
    subject.hears(subject.link(newcomer), URGENT)
    (gone,) = {other.name for other in others} - subject.neighbors
    assert sends(subject.hears(numbers[gone], URGENT), Neighbor) == [DECLINE]
    subject.wait(5)
    assert sends(subject.hears(numbers[gone], URGENT), Neighbor) == [DECLINE]
    subject.wait(6)
    assert sends(subject.hears(numbers[gone], URGENT), Neighbor) == [AGREE]


def test_whoever_let_me_go_may_have_me_back_at_once():
    subject, stranger = Subject(), Stranger(1)
    number = subject.befriend(stranger)
    subject.hears(number, Disconnect(reason="bye"))
    assert sends(subject.hears(number, URGENT), Neighbor) == [AGREE]


def test_an_urgency_that_the_directory_contradicts_is_not_believed():
    subject, others, _ = a_full_subject()
    asker, friend = Stranger(20), Stranger(21)
    number = subject.link(asker)
    subject.hears(number, Records(envelopes=(
        asker.record(neighbors=(bytes(friend.name),)), friend.record(neighbors=(bytes(asker.name),)))))    # fmt: skip
    assert sends(subject.hears(number, URGENT), Neighbor) == [DECLINE]
    subject.hears(number, Records(envelopes=(friend.record(),)))
    assert sends(subject.hears(number, URGENT), Neighbor) == [AGREE], "that friend is gone"
    assert len(subject.neighbors) == len(others)


def test_whoever_stands_alone_says_so_in_its_record_before_it_asks():
    subject, lost, other = Subject(), Stranger(1), Stranger(2)
    number = subject.befriend(lost)
    subject.wait(5)
    subject.handle(ev.LinkDown(number, "gone"))
    subject.link(other)
    said = [type(message) for message in sends(subject.wait(1), Records | Neighbor)]
    assert said == [Records, Neighbor]
    assert subject.peer.membership.directory.records[subject.peer.me].document.neighbors == ()


# ---------------------------------------------------------------------------------------- asks that cross or come late


def test_asks_that_cross_make_one_edge():
    view = View(OVERLAY, random.Random(1))
    view.asks(PEERS[:1], 20, 0.0)
    assert view.answer(PEERS[0], ASK, PEERS[:20]) == AGREE
    assert view.answered(PEERS[0], AGREE, 0.1) is False
    assert view.neighbors == {PEERS[0]: True}


def test_whoever_declined_is_not_asked_again_at_once():
    view = View(OVERLAY, random.Random(1))
    view.asks(PEERS[:1], 20, 0.0)
    view.answered(PEERS[0], DECLINE, 0.1)
    assert view.asks(PEERS[:1], 20, 5.0) == []
    assert view.asks(PEERS[:1], 20, 11.0) == [PEERS[0]]


def test_an_agreement_that_comes_too_late_is_taken_back():
    subject, stranger = Subject(), Stranger(1)
    number = subject.link(stranger)
    assert sends(subject.effects, Neighbor) == [URGENT]
    subject.peer.membership.view.unask(stranger.name)
    subject.peer.membership.view.rest(stranger.name, subject.now)
    assert sends(subject.hears(number, AGREE), Disconnect)
    assert subject.neighbors == set()


def test_an_update_from_one_that_only_thinks_it_is_a_neighbor_is_answered_with_the_truth():
    subject, stranger = Subject(), Stranger(1)
    number = subject.befriend(stranger)
    subject.ready()
    subject.hears(number, Disconnect(reason="bye"))
    announce, _ = stranger.update()
    assert sends(subject.hears(number, announce), Disconnect)
    assert subject.strikes(stranger) == 0


def test_an_update_that_overtakes_the_agreement_is_no_reason_to_part():
    subject, stranger = Subject(), Stranger(1)
    number = subject.link(stranger)                      # asked at once
    assert subject.hears(number, stranger.update()[0]) == []
    subject.hears(number, AGREE)
    assert subject.neighbors == {stranger.name}


def test_whoever_lets_me_go_is_not_asked_at_once():
    subject, stranger = Subject(), Stranger(1)
    number = subject.befriend(stranger)
    effects = subject.hears(number, Disconnect(reason="exchanged"))
    assert sends([*effects, *subject.wait(5)], Neighbor) == []
    assert sends(subject.wait(6), Neighbor) == [URGENT]
    assert loud(subject.effects) == []


def test_a_neighbor_that_asks_again_hears_my_update_again():
    subject, stranger = Subject(), Stranger(1)
    subject.ready()
    number = subject.befriend(stranger)
    subject.peer.averaging.serving._latest = latest = stranger.update()[0]
    assert sends(subject.hears(number, ASK), Announce) == [latest]


def test_the_ninth_is_let_in_by_eight_who_all_held_all_and_want_no_more_than_six():
    network = Network(7)
    options = NodeConfig(overlay=OverlayConfig(mesh_peers_max=8, degree=4, degree_slack=2, rewire_rounds=0))
    nodes = network.add(8, options, learns=False)
    network.introduce_all()
    assert network.until(lambda: all(len(node.neighbors) == 7 for node in nodes), 10)
    (ninth,) = network.add(1, options, learns=False)
    for node in nodes:
        network.introduce(ninth, node)
    assert network.until(lambda: len(ninth.neighbors) >= 2, 30)
    network.run(30)
    assert all(len(node.neighbors) <= 7 for node in network.nodes)
