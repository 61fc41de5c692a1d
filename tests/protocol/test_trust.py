"""What I think of peers: how it forms, fades, is kept, chooses neighbors, and stays mine."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import Network, identities
from puppet import Stranger, Subject, of, sends

from gossipfl.config import NodeConfig, OverlayConfig
from gossipfl.protocol import events as ev
from gossipfl.protocol.trust import FADES_ROUNDS, HALF_LIFE_ROUNDS, STRANGER, TRUST_MAX, Trust
from gossipfl.protocol.view import View
from gossipfl.wire import messages
from gossipfl.wire.manifest import PeerRecord
from gossipfl.wire.messages import Neighbor

PEERS = [identity.peer_id for identity in identities(20)]
ALICE, BOB, CAROL, *_ = PEERS


def after(evidence, rounds, trust=None, first=0, peer=ALICE):
    trust = trust or Trust()
    for round_ in range(first, first + rounds):
        trust.learn(round_, {peer: evidence})
    return trust


# ------------------------------------------------------------------------------------------------ the arithmetic


def test_a_stranger_lies_between_and_half_of_that_is_gone_after_a_half_life():
    assert Trust().of(ALICE) == STRANGER
    assert after(0.0, int(HALF_LIFE_ROUNDS)).of(ALICE) == pytest.approx(STRANGER / 2)
    assert after(1.0, int(HALF_LIFE_ROUNDS)).of(ALICE) == pytest.approx(0.75)


@given(st.lists(st.floats(-1, 2), max_size=60))
def test_a_score_stays_a_share_and_lies_between_all_that_was_seen(seen):
    trust = Trust()
    for round_, evidence in enumerate(seen):
        trust.learn(round_, {ALICE: evidence})
    capped = [min(max(one, 0.0), 1.0) for one in seen]
    assert min([STRANGER, *capped]) - 1e-9 <= trust.of(ALICE) <= max([STRANGER, *capped]) + 1e-9


def test_one_bad_moment_costs_nobody_its_place():
    trust = after(1.0, 40)
    assert not after(0.0, 10, trust, first=40).doubts(ALICE)
    assert after(0.0, 60, trust, first=50).doubts(ALICE)


def test_an_opinion_fades_while_its_peer_is_not_heard():
    trust = after(0.0, 100)
    bad = trust.of(ALICE)
    trust.learn(100 + int(FADES_ROUNDS), {BOB: 1.0})
    assert STRANGER - trust.of(ALICE) == pytest.approx((STRANGER - bad) / 2)


def test_the_number_of_opinions_is_bounded_and_the_newest_stay():
    trust = Trust((bytes([1 + n % 250]) * 30 + n.to_bytes(2, "big"), 0.9, 0) for n in range(TRUST_MAX))
    trust.learn(1, {ALICE: 1.0})
    assert len(trust._scores) == TRUST_MAX
    assert trust.of(ALICE) > STRANGER


def test_rows_come_back_after_a_restart_and_a_steady_opinion_is_written_now_and_then():
    trust, disk, writes = Trust(), {}, 0
    for round_ in range(300):
        rows = trust.learn(round_, {ALICE: 0.0})
        disk.update((peer, (peer, score, at)) for peer, score, at in rows)
        writes += len(rows)
    again = Trust(disk.values())
    again.learn(300, {})
    assert again.of(ALICE) == pytest.approx(trust.of(ALICE), abs=0.05)
    assert again.doubts(ALICE)
    assert writes < 100


# -------------------------------------------------------------------------------------------- choosing neighbors


def a_view(doubted=(), *, degree=2, slack=0):
    trust = Trust((peer, 0.0, 0) for peer in doubted)
    return View(OverlayConfig(mesh_peers_max=1, degree=degree, degree_slack=slack), random.Random(1), trust)


def test_whom_i_doubt_is_asked_only_when_nobody_else_is_there():
    assert set(a_view([ALICE, BOB]).asks(PEERS[:4], 4, 0.0)) == set(PEERS[2:4])
    assert set(a_view([ALICE, BOB]).asks(PEERS[:3], 3, 0.0)) >= {CAROL}
    assert len(a_view([ALICE, BOB]).asks(PEERS[:3], 3, 0.0)) == 2
    assert set(a_view([ALICE, BOB]).asks([ALICE, BOB], 2, 0.0)) == {ALICE, BOB}


def test_whom_i_doubt_most_is_the_one_to_go():
    view = a_view(slack=0)
    view.trust = Trust([(BOB, 0.2, 0), (ALICE, 0.1, 0)])
    view.neighbors = dict.fromkeys(PEERS[:4], True)
    view.exchange(9)
    assert view.surplus(9, PEERS[3]) == ALICE


def test_among_those_i_trust_chance_decides_who_goes():
    gone = set()
    for seed in range(40):
        view = View(OverlayConfig(mesh_peers_max=1, degree=2), random.Random(seed),
                    Trust([(ALICE, 0.9, 0), (BOB, 0.4, 0), (CAROL, 0.99, 0)]))                           # fmt: skip
        view.neighbors = dict.fromkeys(PEERS[:4], True)
        view.exchange(9)
        gone.add(view.surplus(9, PEERS[3]))
    assert gone == {ALICE, BOB, CAROL}


def test_scores_of_a_training_that_has_begun_anew_fade_as_all_do():
    trust = Trust([(ALICE, 0.1, 5000)])
    trust.learn(0, {})
    trust.learn(2000, {})
    assert trust.of(ALICE) > 0.49, "ten times the rounds in which half is forgotten"


def test_whom_i_doubt_is_let_in_only_if_nobody_else_is_there_or_it_has_nobody():
    plain, urgent = Neighbor(kind="ask"), Neighbor(kind="ask", urgent=True)

    def answer(peer, ask, *there):
        view = a_view([ALICE, *PEERS[4:8]], degree=3, slack=2)
        view.neighbors = {BOB: True}
        return view.answer(peer, ask, there).kind

    assert answer(ALICE, plain, ALICE, BOB, CAROL) == "decline", "there is one more, whom I would rather have"
    assert answer(CAROL, plain, ALICE, BOB, CAROL) == "agree"
    assert answer(ALICE, plain, ALICE, BOB) == "agree", "nobody else is there"
    assert answer(ALICE, plain, ALICE, BOB, PEERS[4]) == "agree", "and nobody else whom I would rather have"
    assert answer(ALICE, urgent, ALICE, BOB, CAROL) == "agree", "nobody may be left out by all"


def test_whom_i_doubt_gets_a_free_place_at_most_and_never_anothers_however_urgent_it_is():
    liars, honest = PEERS[:6], PEERS[6:14]
    view = a_view(liars, degree=6, slack=2)
    view.neighbors = {peer: place < 4 for place, peer in enumerate(honest)}
    for liar in liars:
        assert view.answer(liar, Neighbor(kind="ask", urgent=True), PEERS).kind == "decline"
    assert set(view.neighbors) == set(honest)
    stranger = PEERS[15]
    del view.neighbors[honest[-1]]
    view.exchange(len(PEERS))                            # somebody is to go for the next who comes
    assert view.answer(liars[0], Neighbor(kind="ask", urgent=True), PEERS).kind == "agree", "a place was free"
    assert view.surplus(len(PEERS), liars[0]) is None
    assert view.answer(stranger, Neighbor(kind="ask", urgent=True), PEERS).kind == "agree"
    assert view.surplus(len(PEERS), stranger) == liars[0]


def test_an_exchange_for_one_that_i_doubt_is_none():
    view = a_view([ALICE], degree=4)
    view.neighbors = dict.fromkeys([BOB, CAROL, *PEERS[4:6]], True)
    view.exchange(len(PEERS))
    assert view.asks([ALICE], len(PEERS), 0.0) == [ALICE], "nobody else is linked"
    assert view.answered(ALICE, Neighbor(kind="agree"), 1.0)
    assert view.surplus(len(PEERS), ALICE) == ALICE


def test_an_overlay_parts_from_those_that_everybody_doubts():
    options = NodeConfig(overlay=OverlayConfig(mesh_peers_max=4, degree=4))
    network = Network(5)
    nodes = network.add(20, options, learns=False)
    network.introduce_all()
    network.run(20)
    outcast = nodes[0].name
    for node in nodes[1:]:
        node.peer.membership.trust.learn(0, {outcast: 0.0})
        for round_ in range(60):
            node.peer.membership.trust.learn(round_, {outcast: 0.0})
    had = sum(outcast in node.neighbors for node in nodes[1:])
    for _ in range(12):
        for node in nodes[1:]:
            node.peer.membership.rewire()
            node.feed(ev.Tick())
        network.run(15)
    assert sum(outcast in node.neighbors for node in nodes[1:]) < had


# ------------------------------------------------------------------------------------------------ mine alone


def test_what_a_mixing_said_is_kept_on_my_disk_and_told_to_nobody():
    subject, alice, bob = Subject(), Stranger(1), Stranger(2)
    subject.befriend(alice)
    subject.befriend(bob)
    subject.ready()
    subject.wait(5)
    effects = subject.handle(ev.Mixed(0, 0.1, {}, {alice.name: 0.0, bob.name: 1.0}))
    (kept,) = of(effects, ev.KeepTrust)
    assert {peer for peer, _, _ in kept.rows} == {alice.name, bob.name}
    before = [effect for effect in subject.effects if isinstance(effect, ev.Send)]
    assert all("trust" not in repr(effect.message).lower() for effect in before)
    again = Subject(trust=tuple((peer, 0.125, 0) for peer, _, _ in kept.rows))
    assert again.peer.membership.trust.doubts(alice.name)


def test_trust_is_still_there_after_a_restart():
    network = Network(3)
    (node,) = network.add(1, learns=False)
    for round_ in range(40):
        for effect in node.peer.handle(ev.Mixed(round_, 0.1, {}, {ALICE: 0.0}), node.clock()):
            if isinstance(effect, ev.KeepTrust):
                node._keep_trust(effect)
    network.run(1)
    before = node.peer.membership.trust.of(ALICE)
    node.crash()
    node.start()
    assert node.peer.membership.trust.of(ALICE) == pytest.approx(before, abs=0.01)
    assert node.peer.membership.trust.doubts(ALICE)


def test_no_message_and_no_record_has_a_place_for_an_opinion():
    fields = {name for schema in (*messages.TYPES.values(), PeerRecord) for name in schema.__struct_fields__}
    assert not {name for name in fields if any(word in name for word in ("trust", "score", "verdict", "kept"))}
    # A record is signed over exactly these fields; floats, which a score would be, are in none of them.
    assert not [one for one in msgspec.structs.fields(PeerRecord) if one.type is float]


def test_two_peers_that_differ_only_in_trust_say_the_same():
    said = []
    for score in (0.0, 1.0):
        subject = Subject(trust=((Stranger(1).name, score, 0),), seed=3)
        number = subject.link(Stranger(1))
        subject.hears(number, Neighbor(kind="ask"))
        subject.wait(40)
        said.append([repr(message) for message in sends(subject.effects, object)])
    assert said[0] == said[1]
    assert said[0]
