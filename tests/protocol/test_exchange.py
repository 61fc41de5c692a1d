"""Updates out and in: announce, want, chunks, pending; and what happens to those who break the rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import FEDERATION, Network
from puppet import SIZE, Stranger, Subject, frames, loud, of, sends

from gossipfl import federation as federations
from gossipfl.config import KIB, MIB, LimitsConfig, ModelConfig, NodeConfig, RoundConfig
from gossipfl.identity import Identity
from gossipfl.protocol import events as ev
from gossipfl.protocol.fetching import Fetching
from gossipfl.protocol.ledger import Ledger
from gossipfl.protocol.serving import Serving
from gossipfl.wire.chunks import cut, pieces, verify_chunk
from gossipfl.wire.manifest import genesis_state, next_state, open_manifest
from gossipfl.wire.messages import CHUNK, Announce, AskSnapshot, Cancel, CloseCode, Disconnect, Proof, Refuse, Want
from gossipfl.wire.records import Frame

OTHER = federations.new("other", model=ModelConfig(inputs=(4,)))
GENESIS = genesis_state(FEDERATION.terms)
SIZES = [1, 255, 65_536, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB + 7, 3 * MIB]


class Pair:
    """Serving and fetching face to face, and the frames between them."""

    def __init__(self, delta_bytes, **limits):
        options = LimitsConfig(**limits)
        self.author, self.now, self.link, self.carried = Stranger(1), 0.0, 1, 0
        self.serving = Serving(options, GENESIS)
        ledger = Ledger(FEDERATION, options, {})
        ledger.ready(SIZE, delta_bytes)
        self.fetching = Fetching(ledger, options, GENESIS)
        self.fetching.add(self.author.name)
        self._frames, self.updates = [], []

    def publish(self, data, **changes):
        announce, payload = self.author.update(data, **changes)
        signed = open_manifest(announce.manifest)
        for message in sends(self.serving.publish(signed, payload, [self.link]), Announce):
            self._received(self.fetching.announced(self.author.name, self.link, message, None, self.now))

    def run(self, frames_max=10**9):
        """Carry so many CHUNK frames.  Returns whether any is left."""
        while self._frames and frames_max > 0:
            frames_max -= 1
            frame = self._frames.pop(0)
            self.carried += len(frame.body) - 8
            self._received(self.fetching.chunk(self.author.name, self.link, frame))
        return bool(self._frames)

    def cut(self):
        """The link breaks; the neighbor is parted and met again over another."""
        self._frames.clear()
        self.fetching.cut(self.author.name, self.link)
        self.fetching.remove(self.author.name, self.now)
        self.link += 1
        self.fetching.add(self.author.name)
        for message in sends(self.serving.introduce(self.link), Announce):
            self._received(self.fetching.announced(self.author.name, self.link, message, None, self.now))

    def _received(self, effects):
        """Perform what the receiver wants."""
        for effect in effects:
            if isinstance(effect, ev.Send) and isinstance(effect.message, Want):
                for served in self.serving.serve(self.link, effect.transfer, effect.message):
                    bodies = (body for chunk in served.chunks for body in pieces(served.payload, chunk))
                    self._frames += [Frame(CHUNK, 0, served.transfer, body) for body in bodies]
            elif isinstance(effect, ev.VerifyChunk):
                ok = verify_chunk(effect.data, effect.expected)
                update = self.fetching.verified(effect.peer, effect.root, effect.chunk, ok, self.now)
                self.updates += [update] if update is not None else []
                self._received(self.fetching.fetch(self.author.name, self.link, self.now))


def content(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


# ------------------------------------------------------------------------------------------------ one payload


@pytest.mark.parametrize("size", SIZES)
def test_a_payload_of_any_size_arrives_as_it_was_published(size):
    pair = Pair(size)
    pair.publish(content(size))
    pair.run()
    (update,) = pair.updates
    assert update.data == content(size)
    assert pair.carried == size
    assert pair.fetching.take(pair.author.name, 0) == (update,)
    assert pair.fetching.reserved_bytes == 0


@settings(max_examples=60)
@given(st.sampled_from([s for s in SIZES if s <= MIB + 7]), st.lists(st.integers(0, 25), max_size=4))
def test_a_cut_at_any_moment_costs_at_most_the_chunk_that_was_half_there(size, cuts):
    pair = Pair(size)
    pair.publish(content(size))
    for frames_before_cut in cuts:
        pair.run(frames_before_cut)
        pair.cut()
    pair.run()
    (update,) = pair.updates
    assert update.data == content(size)
    assert pair.carried - size <= len(cuts) * min(256 * KIB, size)


@settings(max_examples=30)
@given(st.integers(1, 8), st.lists(st.integers(0, 12), min_size=8, max_size=8))
def test_what_is_asked_for_and_not_here_never_exceeds_the_window(window, steps):
    pair = Pair(3 * MIB, window_bytes=window * 256 * KIB)
    pair.publish(content(3 * MIB))
    more = True
    while more:
        for step in steps:
            assert sum(len(frame.body) for frame in pair._frames) <= window * 256 * KIB + 8 * 5 * window
            more = pair.run(step + 1)
    assert pair.updates[0].data == content(3 * MIB)


def test_deltas_are_pending_in_order_and_only_up_to_my_round():
    pair = Pair(4)
    for number in range(2):
        pair.publish(bytes([number] * 4), round=number)
    pair.run()
    name = pair.author.name
    assert [bytes(u.data) for u in pair.fetching.take(name, 0)] == [b"\0\0\0\0"]
    assert [bytes(u.data) for u in pair.fetching.take(name, 0)] == [b"\1\1\1\1"]     # all ahead of me: what there is
    assert pair.fetching.take(name, 5) == ()


def test_the_oldest_published_payload_is_no_longer_served():
    serving, author, roots = Serving(LimitsConfig(published_max=3), GENESIS), Stranger(1), []
    for number in range(4):
        announce, payload = author.update(bytes([number]) * 4)
        serving.publish(open_manifest(announce.manifest), payload, [])
        roots.append(payload.root)
    served = [serving.serve(1, 7, Want(root=root, chunks=(0,))) for root in roots]
    assert [len(of(effects, ev.SendChunks)) for effects in served] == [0, 1, 1, 1]
    assert sends(served[0], Refuse) == [Refuse(root=roots[0], reason="no longer here")]


# -------------------------------------------------------------------------------------------- broken rules


def prepared(**limits):
    """A subject with a learner, a neighbor, and another neighbor that must not notice what the first does."""
    subject = Subject(NodeConfig(limits=LimitsConfig(**limits), round=RoundConfig(start_wait_s=1e6, start_neighbors=9)))
    subject.ready()
    liar, other = Stranger(1), Stranger(2)
    return subject, liar, subject.befriend(liar), other, subject.befriend(other)


def transfers(effects):
    return [effect.transfer for effect in of(effects, ev.Send) if isinstance(effect.message, Want)]


def deliver(subject, number, announce, payload):
    """Announce, and send what is wanted.  Returns the story of its arrival."""
    effects = subject.hears(number, announce)
    (transfer,) = transfers(effects)
    effects = [e for frame in frames(payload, transfer) for e in subject.hears_frame(number, frame)]
    return verify(subject, effects)


def verify(subject, effects):
    checks = of(effects, ev.VerifyChunk)
    return [e for c in checks for e in subject.handle(
        ev.Verified(c.peer, c.root, c.chunk, verify_chunk(c.data, c.expected)))]  # fmt: skip


def assert_struck(subject, liar, effects, number, words, strikes=1):
    assert [close.link for close in of(effects, ev.CloseLink)] == [number]
    assert of(effects, ev.CloseLink)[0].code == CloseCode.VIOLATION
    assert words in loud(effects)[0]
    assert subject.strikes(liar) == strikes
    assert liar.name not in subject.linked


BAD_MANIFESTS = {
    "another federation": dict(federation=OTHER.fingerprint),
    "another parameter vector": dict(spec=b"s" * 32),
    "codec 'int8' instead of 'float32'": dict(codec="int8"),
    "it must have 16": dict(size=17),
    "does not follow from its base": dict(state=b"s" * 32),
    "is not of this time": dict(round=10_041),
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
    subject.peer.averaging.round.number = 40
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


@pytest.mark.parametrize("case", ["never asked", "another transfer", "asked and here already", "outside"])
def test_a_chunk_that_nobody_asked_for_is_a_violation(case):
    subject, liar, number, other, other_number = prepared()
    announce, payload = liar.update()
    frame = frames(payload, 77)[0]
    if case != "never asked":
        (transfer,) = transfers(subject.hears(number, announce))
    if case == "asked and here already":
        frame = frames(payload, transfer)[0]
        subject.hears_frame(number, frame)
    if case == "outside":
        frame = Frame(CHUNK, 0, transfer, b"\0\0\0\5" + frame.body[4:])
    assert_struck(subject, liar, subject.hears_frame(number, frame), number, "Unsolicited")
    assert deliver(subject, other_number, *other.update())


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"\0\0\0\0\0\0\0\1" + bytes(8), "BadChunk"), (bytes(8 + 17), "BadChunk"), (bytes(8), "carries nothing")],
    ids=["a gap", "too long", "empty"],
)
def test_bytes_that_do_not_fit_their_chunk_are_a_violation(body, words):
    subject, liar, number, *_ = prepared()
    (transfer,) = transfers(subject.hears(number, liar.update()[0]))
    assert_struck(subject, liar, subject.hears_frame(number, Frame(CHUNK, 0, transfer, body)), number, words)


def test_bytes_with_another_hash_are_a_violation_and_asked_for_again():
    subject, liar, number, *_ = prepared()
    announce, payload = liar.update()
    (transfer,) = transfers(subject.hears(number, announce))
    (check,) = of(subject.hears_frame(number, frames(cut(b"\1" * 16), transfer)[0]), ev.VerifyChunk)
    assert not verify_chunk(check.data, check.expected)
    effects = subject.handle(ev.Verified(check.peer, check.root, check.chunk, False))
    assert_struck(subject, liar, effects, number, "does not have the announced hash")
    number = subject.befriend(liar)
    effects = subject.hears(number, announce)
    (transfer,) = transfers(subject.effects)[-1:]
    assert verify(subject, subject.hears_frame(number, frames(payload, transfer)[0]))


def test_an_update_that_cannot_be_decoded_costs_its_signer_a_strike_and_a_snapshot():
    subject, liar, number, *_ = prepared()
    deliver(subject, number, *liar.update())
    effects = subject.handle(ev.Mixed(0, 0.1, {liar.name: "not finite"}))
    assert_struck(subject, liar, effects, number, "not finite")
    number = subject.befriend(liar)
    assert sends(subject.hears(number, liar.update()[0]), AskSnapshot)


def test_a_want_of_chunks_that_are_not_there_is_a_violation():
    for chunks in ((1,), (0, 0), (2**40,)):
        subject, liar, number, *_ = prepared()
        subject.peer.averaging.serving.publish(*published(Stranger(0)), [])
        (root,) = subject.peer.averaging.serving._published
        assert_struck(subject, liar, subject.hears(number, Want(root=root, chunks=chunks), 1), number, "WANT")


def published(author):
    announce, payload = author.update()
    return open_manifest(announce.manifest), payload


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


@pytest.mark.parametrize("case", ["one root", "two sequences", "two signers", "another federation", "junk"])
def test_what_proves_nothing_costs_its_teller_a_strike(case):
    subject, teller, number, *_ = prepared()
    victim = Stranger(3)
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


# ------------------------------------------------------------------------------------------ gaps and snapshots


def snapshot_of(author, data=b"\5" * 4 * SIZE):
    return author.update(data, kind="snapshot", base=author.state, codec="float32")


def test_a_gap_is_bridged_by_a_snapshot_and_deltas_go_on_from_there():
    subject, author, number, *_ = prepared()
    author.state = b"far ahead".ljust(32)
    effects = subject.hears(number, author.update()[0])
    assert sends(effects, AskSnapshot) == [AskSnapshot()]
    assert sends(subject.hears(number, author.update()[0]), AskSnapshot) == []       # once
    assert "snapshot" in deliver(subject, number, *snapshot_of(author))[0].text
    assert "delta" in deliver(subject, number, *author.update())[0].text
    kinds = [u.manifest.kind for u in subject.peer.averaging.fetching.take(author.name, None)]
    assert kinds == ["snapshot", "delta"]


def test_a_snapshot_that_nobody_asked_for_is_not_fetched():
    subject, author, number, *_ = prepared()
    assert transfers(subject.hears(number, snapshot_of(author)[0])) == []
    assert subject.strikes(author) == 0


def test_a_delta_that_the_snapshot_already_holds_is_no_new_gap():
    subject, author, number, *_ = prepared()
    author.state = b"far ahead".ljust(32)
    subject.hears(number, author.update()[0])
    before = author.state
    delta_root = cut(b"\3" * 16).root
    after = next_state(before, delta_root)
    # Training ended before the snapshot was signed, and was announced after it.
    author.state = after
    snapshot, payload = snapshot_of(author)
    author.state = before
    delta, _ = author.update(b"\3" * 16)
    (transfer,) = transfers(subject.hears(number, snapshot))
    subject.hears(number, delta)
    effects = verify(subject, subject.hears_frame(number, frames(payload, transfer)[0]))
    assert sends(effects, AskSnapshot) == []
    assert transfers(effects) == []


def test_the_last_delta_said_again_after_a_snapshot_is_no_replay():
    subject, author, number, *_ = prepared()
    author.state = b"far ahead".ljust(32)
    delta, _ = author.update()
    subject.hears(number, delta)
    deliver(subject, number, *snapshot_of(author))
    effects = subject.hears(number, delta)               # as after a reconnection
    assert subject.strikes(author) == 0
    assert effects == []


def test_a_refused_want_falls_back_to_a_snapshot():
    subject, author, number, *_ = prepared()
    announce, payload = author.update()
    (transfer,) = transfers(subject.hears(number, announce))
    refuse = Refuse(root=payload.root, reason="no longer here")
    effects = subject.hears(number, refuse, transfer)
    assert sends(effects, AskSnapshot) == [AskSnapshot()]
    assert subject.hears_frame(number, frames(payload, transfer)[0]) == []           # was on its way
    assert subject.strikes(author) == 0
    assert deliver(subject, number, *snapshot_of(author))


def test_a_refused_snapshot_is_asked_for_again_only_after_a_pause():
    subject, author, number, *_ = prepared()
    author.state = b"far ahead".ljust(32)
    subject.hears(number, author.update()[0])
    (transfer,) = transfers(subject.hears(number, snapshot_of(author)[0]))
    effects = subject.hears(number, Refuse(root=b"r" * 32), transfer) + subject.wait(10)
    assert sends(effects, AskSnapshot) == []
    assert sends(subject.wait(8), AskSnapshot) == [AskSnapshot()]


def test_a_snapshot_is_taken_once_for_all_who_ask_and_again_when_the_model_moved():
    subject, _, number, _, other_number = prepared()
    assert len(of(subject.hears(number, AskSnapshot()), ev.TakeSnapshot)) == 1
    assert subject.hears(other_number, AskSnapshot()) == []
    effects = subject.handle(ev.SnapshotReady(GENESIS, cut(b"\0" * 16)))
    announced = [e.link for e in of(effects, ev.Send) if isinstance(e.message, Announce)]
    assert sorted(announced) == [number, other_number]
    assert len(sends(subject.hears(number, AskSnapshot()), Announce)) == 1
    subject.handle(ev.Trained(0, cut(b"\1" * 16), 10, 0.1))
    assert len(of(subject.hears(number, AskSnapshot()), ev.TakeSnapshot)) == 1


def test_a_snapshot_asked_for_before_the_learner_is_built_is_taken_then():
    subject, stranger = Subject(), Stranger(1)
    number = subject.befriend(stranger)
    assert subject.hears(number, AskSnapshot()) == []
    assert len(of(subject.ready(), ev.TakeSnapshot)) == 1


def test_what_is_announced_before_the_learner_is_built_is_heard_then():
    subject, author, liar = Subject(), Stranger(1), Stranger(2)
    number, liars_number = subject.befriend(author), subject.befriend(liar)
    assert subject.hears(number, author.update()[0]) == []
    subject.hears(liars_number, liar.update(spec=b"s" * 32)[0])
    effects = subject.ready()
    assert len(transfers(effects)) == 1
    assert [close.link for close in of(effects, ev.CloseLink)] == [liars_number]


# ----------------------------------------------------------------------------------- chunks that come too late


def test_chunks_on_their_way_when_we_part_are_nobodys_fault():
    subject, author, number, *_ = prepared()
    announce, payload = author.update()
    (transfer,) = transfers(subject.hears(number, announce))
    effects = subject.hears(number, Disconnect(reason="exchanged"))
    assert Cancel() in sends(effects, Cancel)
    assert subject.hears_frame(number, frames(payload, transfer)[0]) == []
    assert subject.strikes(author) == 0


def test_a_transfer_begun_again_on_the_same_link_does_not_trip_over_its_first_try():
    pair = Pair(200_000)
    pair.publish(content(200_000))
    pair.run(1)
    late = list(pair._frames)                            # sent before the other end heard that we part
    pair.fetching.remove(pair.author.name, 0.0)
    pair._frames.clear()
    pair.fetching.add(pair.author.name)
    pair._received(pair.fetching.fetch(pair.author.name, pair.link, 0.0))
    pair._frames = [*late, *pair._frames]
    pair.run()
    assert pair.updates[0].data == content(200_000)


def test_a_neighbor_that_announces_and_never_sends_is_given_up_and_asked_for_a_snapshot_later():
    subject, author, number, *_ = prepared()
    announce, payload = author.update()
    (transfer,) = transfers(subject.hears(number, announce))
    effects = []
    for nonce in range(14):
        effects += subject.hears(number, Cancel(), nonce + 100)                      # alive, at least
        effects += subject.wait(5)
    assert Cancel() in sends(effects, Cancel)
    assert subject.hears_frame(number, frames(payload, transfer)[0]) == []
    assert sends(subject.hears(number, author.update()[0]), AskSnapshot)


# ------------------------------------------------------------------------------------------------------- bounds


def test_the_memory_for_downloads_has_a_bound_and_everything_comes_in_the_end():
    targets = [[float(index)] * 40_000 for index in range(7)]
    limits = LimitsConfig(receive_bytes_max=500_000)     # three payloads of 160 kB
    network = Network(1, bytes_per_s=2e6)
    nodes = network.add(
        7, NodeConfig(limits=limits, round=RoundConfig(rounds=3, start_neighbors=6)), targets=targets
    )
    held = []
    for node in nodes:
        node.watch = lambda node=node: held.append(node.peer.averaging.fetching.reserved_bytes)
    network.introduce_all()
    assert network.until(lambda: all(node.finished for node in nodes), 120)
    assert 400_000 < max(held) <= limits.receive_bytes_max
    assert all(node.complaints() == [] for node in nodes)


def test_a_fast_publisher_costs_a_slow_neighbor_no_more_than_its_own_pace():
    network = Network(2)
    slow, fast = network.add(2, NodeConfig(round=RoundConfig(start_neighbors=1, evaluate_every=100)))
    slow.train_s, fast.train_s = 1.0, 0.02
    pending = []

    def watch():
        inbox = slow.peer.averaging.fetching.inboxes.get(fast.name)
        pending.append(len(inbox.pending) if inbox is not None else 0)

    slow.watch = watch
    network.introduce_all()
    network.run(15)
    assert max(pending) == slow.options.limits.pending_updates_max
    wants = [message for message in slow.sent if isinstance(message, Want)]
    assert fast.round > 15 * len(slow.mixes)
    assert len(wants) <= 4 * len(slow.mixes)
    assert all(mix.contributions[0].updates for _, mix in slow.mixes[2:])
    assert slow.complaints() == fast.complaints() == []


def test_parted_neighbors_are_remembered_for_a_while_and_only_a_few():
    pair = Pair(4)
    names = [Stranger(number).name for number in range(2, 8)]
    forgotten = []
    for at, name in enumerate(names):
        pair.fetching.add(name)
        forgotten += pair.fetching.remove(name, float(at))
    assert forgotten == [ev.Forget(name) for name in names[:2]]
    assert pair.fetching.expire(119.0) == []
    assert pair.fetching.expire(1000.0) == [ev.Forget(name) for name in names[2:]]


# ------------------------------------------------------------------------------------- whole networks, any weather


@pytest.mark.parametrize("seed", range(3))
def test_public_models_agree_bit_for_bit_through_cuts_restarts_and_rewiring(seed):
    network = Network(seed, latency_s=(0.001, 0.05))
    targets = [[float(index), -float(index), 1.0, 0.5] for index in range(5)]
    nodes = network.add(5, NodeConfig(round=RoundConfig(start_neighbors=2)), targets=targets, train_s=0.7)
    network.introduce_all()
    for _ in range(30):
        network.run(network.dice.uniform(0.1, 3))
        one, other = network.dice.sample(nodes, 2)
        match network.dice.randrange(4):
            case 0 | 1:
                network.reset(one, other)
            case 2:
                one.crash()
                network.run(network.dice.uniform(0, 2))
                one.start()
                network.introduce_all([one, other])
            case 3:
                network.cut([one], [other])
                network.run(network.dice.uniform(0, 30))
                network.heal()
    network.run(75)                                      # the shell compares every public model at every mixing
    assert all(node.complaints() == [] for node in nodes)
    assert all(len(node.neighbors) == 4 for node in nodes)
    last = [node.mixes[-1][1] for node in nodes]
    assert all(sum(bool(c.updates) for c in mix.contributions) == 4 for mix in last)


def test_a_newcomer_gets_snapshots_and_a_cut_gets_few():
    network = Network(3)
    nodes = network.add(3, NodeConfig(round=RoundConfig(start_neighbors=2)), train_s=0.5)
    network.introduce_all()
    network.run(10)
    assert not [message for node in nodes for message in node.sent if isinstance(message, AskSnapshot)]
    for _ in range(5):
        network.reset(nodes[0], nodes[1])
        network.run(10)
    asked = [message for node in nodes for message in node.sent if isinstance(message, AskSnapshot)]
    assert len(asked) <= 5                               # only where more was published meanwhile than is kept
    (late,) = network.add(1, NodeConfig(round=RoundConfig(start_neighbors=2)), train_s=0.5)
    network.introduce_all()
    network.run(10)
    assert sum(isinstance(message, AskSnapshot) for message in late.sent) >= 3
    assert len(late.mixes) > 5
    assert all(node.complaints() == [] for node in network.nodes)
