"""Proven liars: banned for good, told to those who know them, and no flood of proofs does harm."""

import itertools

import pytest
from network import Network
from puppet import GENESIS, Stranger, Subject, loud, of, sends

from gossipfl.config import LimitsConfig, NodeConfig, OverlayConfig
from gossipfl.identity import Identity
from gossipfl.protocol import events as ev
from gossipfl.protocol import proofs
from gossipfl.wire.messages import CloseCode, Ping, Proof, Records


def a_proof(liar):
    """Two updates of `liar` with one sequence."""
    first, _ = liar.update(b"\0" * 16)
    liar.sequence, liar.state = liar.sequence - 1, GENESIS
    second, _ = liar.update(b"\1" * 16)
    return Proof(first=first.manifest, second=second.manifest)


def throw_away(number):
    """A key that was made for this test alone."""
    stranger = Stranger(1)
    stranger.identity = Identity.from_seed(b"throw away" + number.to_bytes(22, "big"))
    stranger.name = stranger.identity.peer_id
    return stranger


def is_banned(subject, liar):
    return subject.peer.membership.links.is_banned(liar.name, subject.now)


@pytest.fixture
def subject():
    made = Subject()
    made.ready()
    return made


# ------------------------------------------------------------------------------------------------- for good


def test_whoever_is_proven_to_lie_is_banned_for_good_and_not_trusted(subject):
    liar, witness = Stranger(1), Stranger(2)
    number, told = subject.befriend(liar), subject.befriend(witness)
    effects = subject.hears(told, a_proof(liar))
    assert [(close.link, close.code) for close in of(effects, ev.CloseLink)] == [(number, CloseCode.BANNED)]
    subject.handle(ev.LinkDown(number, "bad tag", broken=True))
    subject.now += 1e6
    subject.link(liar)
    assert liar.name not in subject.linked
    assert subject.peer.membership.trust.of(liar.name) == 0.0
    assert liar.name not in subject.peer.membership.outreach.there()


def test_a_proven_liar_is_never_called(subject):
    liar, witness = Stranger(1), Stranger(2)
    told = subject.link(witness)
    subject.hears(told, Records(envelopes=(liar.record(),)))
    subject.hears(told, a_proof(liar))
    subject.handle(ev.Found("10.0.0.9:4000", liar.name, True))
    assert liar.name not in {dial.peer for dial in of(subject.wait(300), ev.Dial)}


def test_a_proof_is_remembered_over_a_restart_and_nobody_waits_for_less_because_of_it():
    liar = Stranger(1)
    proof = a_proof(liar)
    subject = Subject(boots=2, proofs=((proof.first, proof.second),))
    subject.ready(round=3)
    assert is_banned(subject, liar)
    assert subject.peer.membership.trust.of(liar.name) == 0.0
    assert subject.peer.membership.links.thrown_out() == 0
    assert of(subject.effects, ev.KeepProof) == []


def test_what_a_disk_holds_that_proves_nothing_is_passed_over():
    honest, liar = Stranger(1), Stranger(2)
    one, other, proof = honest.update()[0].manifest, honest.update()[0].manifest, a_proof(liar)
    subject = Subject(proofs=((one, other), (b"junk", b""), (proof.first, proof.second)))
    assert not is_banned(subject, honest)
    assert is_banned(subject, liar)


def test_a_machine_that_starts_again_remembers_who_lied():
    network = Network(1)
    (node,) = network.add(1)
    liar = Stranger(30)
    proof = a_proof(liar)
    for effect in node.peer.membership.proof_found(proof.first, proof.second, node.clock()):
        if isinstance(effect, ev.KeepProof):
            node._keep_proof(effect)
    network.run(1)
    node.crash()
    node.start()
    assert node.peer.membership.links.is_banned(liar.name, node.clock())


def test_the_proven_are_the_last_to_be_forgotten():
    subject, liar = Subject(NodeConfig(limits=LimitsConfig(directory_records_max=10))), Stranger(1)
    teller = subject.link(Stranger(2))
    subject.link(liar)
    subject.hears(teller, a_proof(liar))
    for number in range(3, 30):
        for _ in range(3):
            subject.hears(subject.connect(Stranger(number)), Ping(nonce=1))
    assert len(subject.peer.membership.links.manners) <= 10
    assert is_banned(subject, liar)


# -------------------------------------------------------------------------------------------------- floods


def test_proofs_about_keys_that_nobody_knows_are_not_even_looked_at(subject):
    tellers = [subject.link(Stranger(number)) for number in (1, 2)]
    subject.link(Stranger(3))
    effects = []
    for number in range(100):
        proof = a_proof(throw_away(number))
        forged = Proof(first=proof.first[:-1] + b"?", second=proof.second)
        effects += subject.hears(tellers[number % 2], forged if number % 3 else proof)
    effects += subject.wait(10)
    assert of(effects, ev.KeepProof) == loud(effects) == sends(effects, Proof) == []
    assert subject.strikes(Stranger(1)) == subject.strikes(Stranger(2)) == 0


def test_proofs_about_peers_that_i_only_heard_of_are_few_from_one_link_and_never_too_many(subject, monkeypatch):
    monkeypatch.setattr(proofs, "HEARSAY_PER_TELLER_MAX", 5)
    monkeypatch.setattr(proofs, "HEARSAY_MAX", 12)
    tellers = [subject.link(Stranger(number)) for number in (1, 2, 3)]
    neighbor = Stranger(4)
    subject.befriend(neighbor)
    kept = dict.fromkeys(tellers, 0)
    for number in range(30):
        liar, teller = throw_away(number), tellers[number // 10]
        subject.hears(teller, Records(envelopes=(liar.record(),)))
        kept[teller] += len(of(subject.hears(teller, a_proof(liar)), ev.KeepProof))
    assert list(kept.values()) == [5, 5, 2]
    assert of(subject.hears(tellers[0], a_proof(neighbor)), ev.KeepProof), "whom I average with is another matter"
    assert is_banned(subject, neighbor)


def test_the_number_of_proofs_is_bounded_and_the_oldest_makes_room(subject, monkeypatch):
    monkeypatch.setattr(proofs, "PROOFS_MAX", 3)
    teller = subject.link(Stranger(1))
    liars = [Stranger(number) for number in range(2, 7)]
    for liar in liars:
        subject.link(liar)
        subject.hears(teller, a_proof(liar))
    assert list(subject.peer.membership.proofs.liars) == [liar.name for liar in liars[2:]]


def test_however_many_proofs_i_am_shown_a_link_hears_one_a_second(subject):
    tellers = [subject.link(Stranger(number)) for number in (1, 2)]
    third = subject.link(Stranger(3))
    subject.wait(5)
    effects = []
    for number in range(40):
        liar = throw_away(number)
        subject.hears(tellers[number % 2], Records(envelopes=(liar.record(),)))
        effects += subject.hears(tellers[number % 2], a_proof(liar))
    effects += subject.wait(9.5)
    told = [effect.message for effect in of(effects, ev.Send) if effect.link == third and
            isinstance(effect.message, Proof)]                                                           # fmt: skip
    assert len(told) == len(set(told)) == 10


# ----------------------------------------------------------------------------------------- who comes to know


def test_a_newcomer_hears_what_i_know_and_the_newest_news_first(subject):
    teller, liars = subject.link(Stranger(1)), [Stranger(2), Stranger(3)]
    told = []
    for liar in liars:
        subject.link(liar)
        told.append(a_proof(liar))
        subject.hears(teller, told[-1])
    number = subject.link(Stranger(4))
    effects = subject.wait(3)
    assert [one.message for one in of(effects, ev.Send) if one.link == number and isinstance(one.message, Proof)] == [
        told[1], told[0]
    ]  # fmt: skip


def in_a_line(network, count):
    nodes = network.add(count, start=False, learns=False)
    for place, node in enumerate(nodes):
        beside = [nodes[other].name for other in (place - 1, place + 1) if 0 <= other < count]
        node.options = NodeConfig(overlay=OverlayConfig(kind="static", neighbors=tuple(map(str, beside))))
        node.start()
    for one, other in itertools.pairwise(nodes):
        network.introduce(one, other)
    network.run(5)
    return nodes


def find_out(node, proof):
    membership = node.peer.membership
    membership.proof_found(proof.first, proof.second, node.clock())
    node.feed(ev.Tick())


def tell(node, liar):
    """`node` hears of `liar` by its record, and tells the others."""
    for effect in node.peer.membership.records_told((liar.record(),), None, node.clock()):
        node._keep_record(effect)
    node.feed(ev.Tick())


def who_ban(nodes, liar):
    return [node.peer.membership.links.is_banned(liar.name, node.clock()) for node in nodes]


def test_a_proof_travels_to_those_who_never_met_the_liar():
    network, liar = Network(9), Stranger(30)
    nodes = in_a_line(network, 5)
    tell(nodes[0], liar)
    network.run(2)
    find_out(nodes[0], a_proof(liar))
    network.run(5)
    assert who_ban(nodes, liar) == [True] * 5


def test_whoever_hears_of_a_liar_later_than_of_its_lie_comes_to_know_all_the_same():
    network, liar = Network(9), Stranger(30)
    nodes = in_a_line(network, 4)
    find_out(nodes[0], a_proof(liar))
    network.run(5)
    assert who_ban(nodes, liar) == [True, False, False, False], "the others know nobody of this name"
    tell(nodes[3], liar)
    # What has been told once is told again to one link in about 30 s.
    assert network.until(lambda: all(who_ban(nodes, liar)), 400)
