"""Every signed peer record, held alike by all; nothing forged, nothing old, nothing without a bound."""

import itertools

import pytest
from network import FEDERATION, Network
from puppet import Stranger, Subject, loud, of, sends

from gossipfl import federation as federations
from gossipfl.config import LimitsConfig, LivenessConfig, ModelConfig, NodeConfig
from gossipfl.identity import Identity
from gossipfl.protocol import events as ev
from gossipfl.wire.envelope import HEADER_BYTES
from gossipfl.wire.manifest import PeerRecord, open_record, sign_record
from gossipfl.wire.messages import Digest, Records, Summary, encode

OTHER = federations.new("other", model=ModelConfig(inputs=(4,)))
BRISK = NodeConfig(liveness=LivenessConfig(gossip_s=5.0))


def sequence_of(envelope):
    return open_record(envelope, 4096).document.sequence


def records_of(subject):
    return subject.peer.membership.directory.records


@pytest.fixture
def subject():
    return Subject()


@pytest.fixture
def linked(subject):
    """A subject, a stranger, and the link between them."""
    stranger = Stranger(1)
    return subject, stranger, subject.link(stranger)


# ---------------------------------------------------------------------------------------- everybody knows everybody


def test_a_newcomer_learns_everybody_from_anybody():
    network = Network(1)
    nodes = network.add(20, learns=False)
    for node, other in itertools.pairwise(nodes):        # a chain: each knows one
        network.introduce(node, other)
    network.run(60)
    (newcomer,) = network.add(1, learns=False)
    network.introduce(newcomer, nodes[7])
    assert network.until(lambda: len(newcomer.records) == 21, 3)
    assert network.until(lambda: all(len(node.records) == 21 for node in nodes), 60)
    assert all(node.complaints() == [] for node in network.nodes)


def test_two_halves_that_meet_know_all():
    network = Network(2)
    left, right = network.add(6, BRISK, learns=False), network.add(6, BRISK, learns=False)
    network.introduce_all(left)
    network.introduce_all(right)
    network.run(20)
    assert all(len(node.records) == 6 for node in network.nodes)
    network.introduce(left[0], right[0], insist=True)
    assert network.until(lambda: all(len(node.records) == 12 for node in network.nodes), 60)


def test_a_cut_network_heals_by_itself():
    network = Network(3)
    left, right = network.add(4, learns=False), network.add(4, learns=False)
    network.introduce_all()
    network.run(10)
    network.cut(left, right)
    network.run(600)
    assert all(node.linked == {other.name for other in left} - {node.name} for node in left)
    network.heal()
    names = {node.name for node in network.nodes}
    assert network.until(lambda: all(node.neighbors == names - {node.name} for node in network.nodes), 120)


def test_the_topology_is_the_same_seen_from_every_peer():
    network = Network(4)
    nodes = network.add(6, BRISK, learns=False)
    network.introduce_all()
    network.run(30)
    for node in nodes:
        both, one = node.peer.membership.directory.edges()
        assert len(both) == 15
        assert one == []


def test_equal_directories_say_nothing(linked):
    subject, _, number = linked
    assert subject.hears(number, subject.peer.membership.directory.digest()) == []


def test_a_difference_is_answered_by_what_is_missing_and_no_more(linked):
    subject, stranger, number = linked
    third = Stranger(2)
    subject.hears(number, Records(envelopes=(third.record(),)))
    (theirs,) = (Subject(identity=stranger.identity),)
    theirs_number = theirs.link(Stranger(0))
    summaries = sends(subject.hears(number, theirs.peer.membership.directory.digest()), Summary)
    told = [message for s in summaries for message in sends(theirs.hears(theirs_number, s), Summary)]
    sent = [e for s in told for m in sends(subject.hears(number, s), Records) for e in m.envelopes]
    assert third.name in [envelope[:32] for envelope in sent]
    assert len(sent) == len(set(sent)) <= 3


# --------------------------------------------------------------------------------------------------- what is taken


def test_a_record_never_goes_back(linked):
    subject, stranger, number = linked
    old, new = stranger.record(addresses=("old:1",)), stranger.record(addresses=("new:1",))
    subject.hears(number, Records(envelopes=(new,)))
    assert of(subject.hears(number, Records(envelopes=(old,))), ev.KeepRecord) == []
    assert records_of(subject)[stranger.name].envelope == new
    assert subject.strikes(stranger) == 0


def forged(stranger):
    other = Stranger(5).record()
    return stranger.name + other[32:]


@pytest.mark.parametrize(
    "make",
    [
        forged,
        lambda s: s.record()[:-1],
        lambda s: s.record() + b"\0",
        lambda s: s.record()[: HEADER_BYTES],
        lambda s: b"",
        lambda s: s.record(federation=OTHER.fingerprint),
        lambda s: s.record(addresses=("a" * 250,) * 16),
    ],
    ids=["forged", "cut off", "longer", "no payload", "empty", "other federation", "too long"],
)
def test_a_record_that_does_not_hold_costs_its_teller_a_strike(linked, make):
    subject, stranger, number = linked
    held = dict(records_of(subject))
    effects = subject.hears(number, Records(envelopes=(make(Stranger(2)),)))
    assert [close.link for close in of(effects, ev.CloseLink)] == [number]
    assert subject.strikes(stranger) == 1
    assert records_of(subject) == held


def test_the_directory_has_a_bound_and_says_so_once():
    subject = Subject(NodeConfig(limits=LimitsConfig(directory_records_max=10)))
    number = subject.link(Stranger(1))
    told = []
    for other in range(2, 30):
        told += loud(subject.hears(number, Records(envelopes=(Stranger(other).record(),))))
    assert len(records_of(subject)) == 10
    assert len(told) == 1
    assert "directory is full" in told[0]
    again = Stranger(1)
    again.sequence += 100
    subject.hears(number, Records(envelopes=(again.record(round=9),)))      # news of those inside still count
    assert records_of(subject)[again.name].document.round == 9


def test_records_of_any_allowed_size_are_told_in_frames_that_honest_peers_accept():
    subject = Subject()
    limits = LimitsConfig()
    number = subject.link(Stranger(1))
    for other in range(2, 39):
        long_winded = Stranger(other).record(addresses=("a" * 233,) * 16)
        assert len(long_winded) > 0.95 * limits.record_bytes_max
        subject.hears(number, Records(envelopes=(long_winded,)))
    listener = Stranger(39)
    listening = subject.link(listener)
    empty = tuple(Summary(bucket=bucket, entries=()) for bucket in range(16))
    effects = [effect for summary in empty for effect in subject.hears(listening, summary)]
    messages = sends([*effects, *subject.wait(5)], Records)
    assert sum(len(message.envelopes) for message in messages) >= 37
    assert max(len(encode(message).body) for message in messages) <= limits.control_bytes_max


def test_news_goes_to_a_few_and_not_back_to_its_teller():
    subject = Subject()
    numbers = [subject.link(Stranger(other)) for other in range(1, 10)]
    subject.wait(5)
    subject.effects.clear()
    subject.hears(numbers[0], Records(envelopes=(Stranger(20).record(),)))
    subject.wait(1)
    told = [e.link for e in of(subject.effects, ev.Send) if isinstance(e.message, Records)]
    assert len(told) == len(set(told)) <= 3
    assert numbers[0] not in told


# ---------------------------------------------------------------------------------------------------- my own record


def test_my_record_names_my_neighbors_and_goes_to_every_link(linked):
    subject, stranger, number = linked
    others = [Stranger(other) for other in (2, 3, 4, 5, 6)]
    numbers = [number, *(subject.link(other) for other in others)]
    subject.effects.clear()
    subject.befriend(Stranger(7))
    subject.wait(1)
    mine = records_of(subject)[subject.identity.peer_id]
    assert stranger.name not in mine.document.neighbors or stranger.name in subject.neighbors
    assert set(mine.document.neighbors) == subject.neighbors
    told = {
        e.link for e in of(subject.effects, ev.Send)
        if isinstance(e.message, Records) and mine.envelope in e.message.envelopes
    }  # fmt: skip
    assert told >= set(numbers)


def test_a_restored_backup_jumps_above_all_that_it_signed_in_its_forgotten_life(linked):
    subject, stranger, number = linked
    forgotten = PeerRecord(
        federation=FEDERATION.fingerprint, sequence=(7 << 32) + 3, boot=b"x" * 16, addresses=(), neighbors=(), round=9
    )
    envelope = sign_record(subject.identity, forgotten).envelope
    subject.hears(number, Records(envelopes=(envelope,)))
    subject.wait(1)
    # More than the record was signed in that life: manifests too, whose numbers nobody tells me.
    assert sequence_of(records_of(subject)[subject.identity.peer_id].envelope) > 8 << 32
    assert subject.strikes(stranger) == 0


def test_my_own_older_records_change_nothing(linked):
    subject, _, number = linked
    old = records_of(subject)[subject.identity.peer_id].envelope
    subject.befriend(Stranger(2))
    subject.wait(1)
    now = records_of(subject)[subject.identity.peer_id].envelope
    assert sequence_of(now) > sequence_of(old)
    subject.hears(number, Records(envelopes=(old, now)))
    subject.wait(1)
    assert records_of(subject)[subject.identity.peer_id].envelope == now


def test_sequences_never_go_back_over_a_restart():
    network = Network(5)
    here, again = network.add(2, BRISK, learns=False)
    network.introduce_all()
    network.run(10)
    before = sequence_of(here.records[again.name])
    again.crash()
    again.start()
    network.introduce_all()
    network.run(10)
    assert sequence_of(here.records[again.name]) > before
    assert sequence_of(again.records[again.name]) == sequence_of(here.records[again.name])


def test_remembered_records_are_verified_again_and_dialed():
    good, bad = Stranger(1), Stranger(2)
    damaged = bad.record()[:-1] + b"!"
    subject = Subject(records=(good.record(), damaged))
    assert set(records_of(subject)) == {subject.identity.peer_id, good.name}
    assert [dial.peer for dial in of(subject.wait(1), ev.Dial)] == [good.name]


# ----------------------------------------------------------------------------------------------------------- edges


def test_an_edge_counts_where_both_ends_claim_it(linked):
    subject, _, number = linked
    one, other, third = (Stranger(n) for n in (2, 3, 4))
    nobody = Identity.from_seed(b"n" * 32).peer_id
    envelopes = (
        one.record(neighbors=tuple(map(bytes, (other.name, third.name, nobody)))),
        other.record(neighbors=(bytes(one.name),)),
        third.record(),
    )
    subject.hears(number, Records(envelopes=envelopes))
    both, claimed = subject.peer.membership.directory.edges()
    assert both == [tuple(sorted((one.name, other.name)))]
    assert claimed == [(one.name, third.name)]


def test_a_claimed_key_that_is_no_key_does_no_harm(linked):
    subject, stranger, number = linked
    subject.hears(number, Records(envelopes=(stranger.record(neighbors=(b"\xff" * 32,)),)))
    assert subject.peer.membership.directory.edges() == ([], [])
    entries = ((b"\xff" * 32, 5),)
    assert sends(subject.hears(number, Summary(bucket=15, entries=entries)), Summary)
    assert subject.hears(number, Digest(buckets=(b"\xff" * 32,) * 16))
    assert subject.strikes(stranger) == 0
