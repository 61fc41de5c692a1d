"""Every signed peer record, held alike by all; nothing forged, nothing old, nothing without a bound."""

import copy
import itertools

import pytest
from network import FEDERATION, Network
from puppet import Stranger, Subject, loud, of, sends

from gossipfl import federation as federations
from gossipfl.config import LimitsConfig, LivenessConfig, ModelConfig, NodeConfig, RoundConfig
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


# ------------------------------------------------------------------------------------------------- a record's life

LIFE = 400.0
SHORT = NodeConfig(liveness=LivenessConfig(gossip_s=5.0), limits=LimitsConfig(record_life_s=LIFE))


def test_whoever_lives_signs_again_and_whoever_is_gone_is_forgotten_by_all_and_for_good():
    network = Network(6)
    nodes = network.add(5, SHORT, learns=False)
    network.introduce_all()
    network.run(20)
    staying, gone = nodes[:3], nodes[3:]
    before = [sequence_of(nodes[0].records[node.name]) for node in staying]
    for node in gone:
        node.crash(power=True)
    network.run(LIFE / 2)
    assert all(len(node.records) == 5 for node in staying)
    network.run(LIFE)
    for node in staying:
        assert set(node.records) == set(records_of(node)) == {other.name for other in staying}, "nor is it on the disk"
    network.run(4 * LIFE)
    after = [sequence_of(nodes[0].records[node.name]) for node in staying]
    assert all(new >= old + 12 for old, new in zip(before, after, strict=True))
    assert all(set(records_of(node)) == {other.name for other in staying} for node in staying)
    gone[0].start()
    network.introduce(gone[0], nodes[0])
    assert network.until(lambda: all(len(records_of(node)) == 4 for node in staying), 30)
    assert all(node.complaints() == [] for node in staying)


def test_what_was_forgotten_is_not_taken_back_but_with_news_or_from_the_peer_itself():
    subject, stranger, third = Subject(SHORT), Stranger(1), Stranger(2)
    number = subject.link(stranger)
    record = third.record()
    subject.hears(number, Records(envelopes=(record,)))
    effects = keep_alive(subject, stranger, number, 1.2 * LIFE)
    assert third.name not in records_of(subject)
    assert [effect.peer for effect in of(effects, ev.DropRecord)] == [third.name]
    assert of(subject.hears(number, Records(envelopes=(record,))), ev.KeepRecord) == []
    entry = (bytes(third.name), sequence_of(record))
    asked = sends(subject.hears(number, Summary(bucket=third.name[0] % 16, entries=(entry,))), Summary)
    assert asked == [], "nor asked for"
    returned = subject.connect(third)
    third.sequence = sequence_of(record) - 1             # it woke up, and has signed nothing since
    subject.hears(returned, third.hello())
    assert sequence_of(records_of(subject)[third.name].envelope) == sequence_of(record)


def keep_alive(subject, stranger, number, seconds):
    """`subject` hears `stranger` all the while.  Returns what it did."""
    effects, end = [], subject.now + seconds
    while subject.now < end:
        effects += subject.wait(4)
        effects += subject.hears(number, Records(envelopes=(stranger.record(),)))
    return effects


def test_nobody_grows_old_while_i_hear_nobody_or_sleep():
    subject, stranger, third = Subject(SHORT), Stranger(1), Stranger(2)
    number = subject.link(stranger)
    subject.hears(number, Records(envelopes=(third.record(),)))
    keep_alive(subject, stranger, number, 0.3 * LIFE)
    subject.now += 100 * LIFE                            # the machine was suspended
    keep_alive(subject, stranger, number, 0.3 * LIFE)
    assert stranger.name in subject.linked
    assert third.name in records_of(subject)
    subject.handle(ev.LinkDown(number, "cable pulled"))
    subject.wait(2 * LIFE)
    assert {stranger.name, third.name} <= records_of(subject).keys()


def test_in_a_full_directory_the_longest_silent_makes_room_and_nobody_who_is_near_or_was_heard_of():
    limits = LimitsConfig(record_life_s=LIFE, directory_records_max=6)
    subject, stranger = Subject(NodeConfig(liveness=SHORT.liveness, limits=limits)), Stranger(1)
    near, silent, lately, newcomer, more = (Stranger(n) for n in range(2, 7))
    number = subject.link(stranger)
    named = (bytes(near.name),)
    first = (near.record(neighbors=(bytes(stranger.name),)), silent.record(), lately.record(), Stranger(9).record())
    subject.hears(number, Records(envelopes=first))
    assert len(records_of(subject)) == 6
    assert loud(subject.hears(number, Records(envelopes=(newcomer.record(),)))) != [], "nobody was silent for long"
    end = subject.now + 0.6 * LIFE
    while subject.now < end:
        subject.wait(4)
        subject.hears(number, Records(envelopes=(stranger.record(neighbors=named), lately.record())))
    effects = subject.hears(number, Records(envelopes=(newcomer.record(),)))
    assert [effect.peer for effect in of(effects, ev.DropRecord)] == [silent.name]
    assert {near.name, lately.name, newcomer.name, stranger.name} <= records_of(subject).keys()
    subject.hears(number, Records(envelopes=(more.record(),)))
    assert Stranger(9).name not in records_of(subject)
    assert loud(subject.hears(number, Records(envelopes=(Stranger(10).record(),)))) != [], "it is told again"


def test_what_is_remembered_of_the_forgotten_has_a_bound():
    limits = LimitsConfig(record_life_s=LIFE, directory_records_max=5)
    subject, stranger = Subject(NodeConfig(liveness=SHORT.liveness, limits=limits)), Stranger(1)
    number = subject.link(stranger)
    for turn in range(4):
        others = tuple(Stranger(10 * turn + n).record() for n in (2, 3, 4))
        subject.hears(number, Records(envelopes=others))
        keep_alive(subject, stranger, number, 1.2 * LIFE)
        assert len(records_of(subject)) == 2
    assert len(subject.peer.membership.directory._dropped) == 5


def test_while_a_mere_visitor_is_linked_nobody_is_forgotten():
    liveness = LivenessConfig(gossip_s=5.0, dead_s=1e9, ping_idle_s=1e9, idle_link_s=1e9)
    subject, near, visitor = Subject(NodeConfig(liveness=liveness, limits=SHORT.limits)), Stranger(1), Stranger(3)
    number = subject.link(near)
    subject.hears(number, Records(envelopes=(Stranger(2).record(),)))
    subject.handle(ev.LinkDown(number, "cut"))
    subject.hears(subject.connect(visitor), visitor.hello(record=visitor.record(addresses=())))
    subject.wait(10 * LIFE)
    assert visitor.name in subject.linked
    assert len(records_of(subject)) == 3


def test_who_was_forgotten_and_has_forgotten_what_it_signed_is_told_and_breaks_no_rule():
    options = NodeConfig(
        round=RoundConfig(interval_s=1.0, start_wait_s=10.0), liveness=LivenessConfig(gossip_s=2.0),
        limits=LimitsConfig(record_life_s=60.0),
    )  # fmt: skip
    network = Network(3)
    nodes = network.add(4, options)
    restored, others = nodes[1], [nodes[0], *nodes[2:]]
    network.introduce_all()
    network.run(10)
    restored.leave()
    backup = copy.deepcopy(restored.disk)
    restored.start()
    network.introduce_all()
    network.run(60)
    last = records_of(restored)[restored.name].document.sequence
    restored.crash(power=True)
    network.run(400)
    assert all(restored.name not in records_of(node) for node in others)
    restored.disk = backup
    restored.start()
    network.introduce_all()
    network.run(60)
    assert records_of(restored)[restored.name].document.sequence > last
    for node in others:
        manners = node.peer.membership.links.manners.get(restored.name)
        assert manners is None or manners.strikes == 0
        assert restored.name in records_of(node)
