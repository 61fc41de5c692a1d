"""What peers sign: manifests that cannot be, replays, and two faces of one peer."""

import pytest
from puppet import GENESIS, Stranger, Subject, assert_struck, deliver, of, prepared, transfers

from gossipfl import federation as federations
from gossipfl.config import ModelConfig
from gossipfl.identity import Identity
from gossipfl.protocol import events as ev
from gossipfl.wire.chunks import cut
from gossipfl.wire.manifest import next_state
from gossipfl.wire.messages import CloseCode, Proof, Records, Witness

OTHER = federations.new("other", model=ModelConfig(inputs=(4,)))

BAD_MANIFESTS = {
    "another federation": dict(federation=OTHER.fingerprint),
    "another parameter vector": dict(spec=b"s" * 32),
    "codec 'int8' instead of 'float32'": dict(codec="int8"),
    "it must have 16": dict(size=17),
    "does not follow from its base": dict(state=b"s" * 32),
    "the root that was signed": dict(root=b"r" * 32, state=next_state(GENESIS, b"r" * 32)),
    "a snapshot of 16 bytes; it must have": None,
    "signed by": dict(signer=Identity.from_seed(b"third party's seed, 32 bytes ok!")),
}


@pytest.mark.parametrize("words", BAD_MANIFESTS)
def test_a_manifest_that_cannot_be_is_refused_and_nobody_else_notices(words):
    subject, liar, number, other, other_number = prepared()
    changes = BAD_MANIFESTS[words]
    if words.startswith("a snapshot"):
        changes, words = dict(kind="snapshot", size=12, base=GENESIS, state=GENESIS), "a snapshot of 12 bytes"
    announce, _ = liar.update(**changes)
    effects = subject.hears(number, announce)
    assert_struck(subject, liar, effects, number, words)
    assert deliver(subject, other_number, *other.update())[0].text.endswith("delta of round 0, 16 bytes")
    assert subject.strikes(other) == 0


def test_an_older_sequence_is_a_replay():
    subject, liar, number, *_ = prepared()
    old, _ = liar.update()
    deliver(subject, number, *liar.update(base=GENESIS, state=next_state(GENESIS, cut(b"\0" * 16).root)))
    assert_struck(subject, liar, subject.hears(number, old), number, "Replay")


def test_old_news_over_a_link_whose_caller_has_called_again_is_no_replay():
    subject = Subject()
    subject.ready()
    caller = Stranger(1)
    older = subject.befriend(caller)
    late, _ = caller.update()                            # signed and on its way when the link is given up
    newer = subject.link(caller)
    deliver(subject, newer, *caller.update(base=GENESIS, state=next_state(GENESIS, cut(b"\0" * 16).root)))
    assert subject.hears(older, late) == []
    subject.handle(ev.LinkDown(newer, "connection reset"))
    assert subject.hears(older, late) == []              # it is the only link again, and still late
    assert subject.strikes(caller) == 0


def test_news_that_waited_on_the_link_that_wins_is_no_replay_but_after_it_has_caught_up_it_is():
    """Both called, and newer news came over the other link before this one was greeted."""
    subject = Subject()
    subject.ready()
    caller = min((Stranger(number) for number in range(1, 30)), key=lambda stranger: stranger.name)
    assert caller.name < subject.peer.me                 # so that the link that it dials survives
    waits, first = subject.connect(caller), subject.befriend(caller, dialed=True)
    late, _ = caller.update()
    newest, payload = caller.update(base=GENESIS, state=next_state(GENESIS, cut(b"\0" * 16).root))
    deliver(subject, first, newest, payload)
    subject.hears(waits, caller.hello())
    assert subject.peer.membership.links.by_peer[caller.name].number == waits
    subject.hears(waits, late)
    assert subject.strikes(caller) == 0
    subject.hears(waits, newest)
    subject.hears(waits, late)
    assert subject.strikes(caller) == 1


def test_manifests_from_before_my_restart_are_replays():
    liar = Stranger(1)
    subject = Subject(sequences=((liar.name, (5 << 32) + 9),))
    subject.ready()
    number = subject.befriend(liar)
    assert_struck(subject, liar, subject.hears(number, liar.update()[0]), number, "Replay")


def test_a_delta_may_be_older_than_the_snapshot_that_i_remember_from_before_my_restart():
    author = Stranger(1)
    subject = Subject(sequences=((author.name, (5 << 32) + 9),))
    subject.ready()
    author.sequence = (5 << 32) + 3
    assert transfers(subject.hears(subject.befriend(author), author.update()[0]))
    assert subject.strikes(author) == 0


def test_the_same_manifest_said_again_is_no_offence_and_no_second_download():
    subject, author, number, *_ = prepared()
    announce, _ = author.update()
    assert len(transfers(subject.hears(number, announce))) == 1
    assert subject.hears(number, announce) == []
    assert subject.strikes(author) == 0


# -------------------------------------------------------------------------------------------- equivocation


def two_faces(liar, **changes):
    first, _ = liar.update(b"\0" * 16)
    liar.sequence, liar.state = liar.sequence - 1, GENESIS
    second, _ = liar.update(b"\1" * 16, **changes)
    return first, second


def test_two_faces_are_kept_banned_and_handed_on_and_a_third_peer_believes_it():
    subject, liar, number, other, other_number = prepared()
    first, second = two_faces(liar)
    subject.hears(number, first)
    effects = subject.hears(number, second)
    assert of(effects, ev.KeepProof) == [ev.KeepProof(first.manifest, second.manifest)]
    assert [close.code for close in of(effects, ev.CloseLink)] == [CloseCode.BANNED]
    assert liar.name not in subject.neighbors
    (proof,) = {e.message for e in of(effects, ev.Send) if e.link == other_number and isinstance(e.message, Proof)}

    third, liar, liars_number, other, others_number = prepared()
    effects = third.hears(others_number, proof)
    assert of(effects, ev.KeepProof) == [ev.KeepProof(first.manifest, second.manifest)]
    assert [close.link for close in of(effects, ev.CloseLink)] == [liars_number]
    assert third.strikes(other) == 0
    assert third.peer.membership.links.is_banned(liar.name, third.now)
    assert third.hears(others_number, proof) == []       # told once is enough


def test_the_other_face_is_recognized_when_a_neighbor_tells_what_it_heard():
    subject, liar, number, other, other_number = prepared()
    first, second = two_faces(liar)
    subject.hears(number, first)
    assert subject.hears(other_number, Witness(manifest=first.manifest)) == []
    effects = subject.hears(other_number, Witness(manifest=second.manifest))
    assert of(effects, ev.KeepProof) == [ev.KeepProof(first.manifest, second.manifest)]
    assert [close.link for close in of(effects, ev.CloseLink)] == [number]
    assert subject.strikes(other) == 0


def test_what_was_heard_of_a_stranger_or_at_another_time_says_nothing():
    subject, author, number, other, other_number = prepared()
    older, newer = author.update()[0], author.update()[0]
    subject.hears(number, newer)
    for manifest in (older.manifest, Stranger(3).update()[0].manifest, b""):
        assert subject.hears(other_number, Witness(manifest=manifest)) == []
    assert subject.strikes(author) == subject.strikes(other) == 0


def test_whoever_tells_what_nobody_can_have_heard_is_struck():
    subject, author, number, other, other_number = prepared()
    announce, _ = author.update()
    subject.hears(number, announce)
    forged = announce.manifest[:-1] + bytes([announce.manifest[-1] ^ 1])
    effects = subject.hears(other_number, Witness(manifest=forged))
    assert_struck(subject, other, effects, other_number, "BadSignature")
    assert subject.strikes(author) == 0


def test_after_a_round_one_neighbor_is_told_what_another_announced():
    subject, author, number, other, other_number = prepared()
    said = {number: author.update()[0], other_number: other.update()[0]}
    for link, announce in said.items():
        subject.hears(link, announce)
    told = [e for e in subject.handle(ev.Mixed(0, 0.1)) if isinstance(e, ev.Send) and isinstance(e.message, Witness)]
    (witness,) = told
    (others,) = said.keys() - {witness.link}
    assert witness.message.manifest == said[others].manifest


@pytest.mark.parametrize("case", ["one root", "two sequences", "two signers", "another federation", "junk"])
def test_what_proves_nothing_costs_its_teller_a_strike(case):
    subject, teller, number, *_ = prepared()
    victim = Stranger(3)
    subject.hears(number, Records(envelopes=(victim.record(),)))       # of whom nobody knows nothing is looked at
    first, second = two_faces(victim, **(dict(federation=OTHER.fingerprint) if case == "another federation" else {}))
    if case == "one root":
        second = first
    elif case == "two sequences":
        second, _ = victim.update(b"\2" * 16)
    elif case == "two signers":
        second, _ = two_faces(Stranger(4))
    proof = Proof(first=first.manifest, second=b"junk" if case == "junk" else second.manifest)
    effects = subject.hears(number, proof)
    assert_struck(subject, teller, effects, number, "")
    assert not subject.peer.membership.links.is_banned(victim.name, subject.now)
