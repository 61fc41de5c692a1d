"""Updates from one peer to another: whole payloads through cuts, bounds of memory, and networks in any weather."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import FEDERATION, Network
from puppet import GENESIS, SIZE, Stranger, sends

from gossipfl.config import KIB, MIB, LimitsConfig, NodeConfig, OverlayConfig, RoundConfig
from gossipfl.protocol import events as ev
from gossipfl.protocol.fetching import Fetching
from gossipfl.protocol.ledger import Ledger
from gossipfl.protocol.serving import Serving
from gossipfl.wire.chunks import pieces, verify_chunk
from gossipfl.wire.manifest import open_manifest
from gossipfl.wire.messages import CHUNK, Announce, AskSnapshot, Want
from gossipfl.wire.records import Frame

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
            self._received(self.fetching.announced(self.author.name, self.link, message, self.now))

    def run(self, frames_max=10**9):
        """Carry so many CHUNK frames.  Returns whether any is left."""
        while self._frames and frames_max > 0:
            frames_max -= 1
            frame = self._frames.pop(0)
            self.carried += len(frame.body) - 8
            self._received(self.fetching.chunk(self.author.name, self.link, frame, self.now))
        return bool(self._frames)

    def cut(self):
        """The link breaks; the neighbor is parted and met again over another."""
        self._frames.clear()
        self.fetching.cut(self.author.name, self.link)
        self.fetching.remove(self.author.name, self.now)
        self.link += 1
        self.fetching.add(self.author.name)
        for message in sends(self.serving.introduce(self.link), Announce):
            self._received(self.fetching.announced(self.author.name, self.link, message, self.now))

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


def test_neighbors_take_turns_where_memory_is_short():
    limits = LimitsConfig(receive_bytes_max=32)          # two updates of 16 bytes, and six neighbors
    rounds = RoundConfig(mode="synchronous", start_neighbors=6, deadline_s=2.0)
    network = Network(1)
    nodes = network.add(7, NodeConfig(limits=limits, round=rounds))
    network.introduce_all()
    network.run(60)
    for node in nodes:
        recent = [mix for _, mix in node.mixes[-20:]]    # of 28 rounds, each of which waits in vain for most
        heard = {contribution.peer for mix in recent for contribution in mix.contributions if contribution.updates}
        assert heard == {other.name for other in nodes} - {node.name}


@pytest.mark.parametrize(("bytes_per_s", "carries"), [(10e3, True), (4e3, False)])
def test_a_slow_link_delivers_what_it_can_carry_and_a_slower_one_is_told(bytes_per_s, carries):
    network = Network(3, bytes_per_s=bytes_per_s)        # a payload of 1 MB takes 100 s, or 250
    targets = [[float(index)] * 250_000 for index in range(2)]
    nodes = network.add(2, NodeConfig(round=RoundConfig(interval_s=30.0)), targets=targets)
    network.introduce_all()
    network.run(1200)
    for node in nodes:
        heard = sum(mix.heard for _, mix in node.mixes)
        assert heard >= 5 if carries else heard == 0
        assert bool(node.told("more slowly than limits.download_bytes_per_s_min")) != carries
        assert not node.told("does not send them")


def test_a_peer_that_falls_silent_in_the_middle_is_given_up_though_there_would_be_time():
    pair = Pair(3 * MIB)
    pair.publish(content(3 * MIB))
    pair.run(frames_max=2)
    pair.now = 59.0
    assert pair.fetching.look_after(pair.author.name, pair.link, pair.now) == []
    pair.now = 60.0
    told = pair.fetching.look_after(pair.author.name, pair.link, pair.now)
    assert any("does not send them" in effect.text for effect in told if isinstance(effect, ev.Story))


def test_where_memory_is_short_a_trickle_makes_room_for_who_sends():
    pair = Pair(3 * MIB, receive_bytes_max=4 * MIB)
    pair.publish(content(3 * MIB))
    pair.run(frames_max=1)
    pair.fetching.inboxes[pair.author.name].download.moved_at = pair.now = 70.0           # a byte now and then
    other = Stranger(2)
    pair.fetching.add(other.name)
    announce, _ = other.update(content(3 * MIB))
    asked = pair.fetching.announced(other.name, 9, announce, pair.now)
    assert sends(asked, Want)
    assert pair.fetching.inboxes[pair.author.name].download is None


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


SMALL = OverlayConfig(mesh_peers_max=3, degree=3, degree_slack=1, dialed_min=1, rewire_rounds=3)


@pytest.mark.parametrize("seed", range(3))
def test_public_models_agree_bit_for_bit_through_cuts_restarts_sleep_and_rewiring(seed):
    network = Network(seed, latency_s=(0.001, 0.3))
    options = NodeConfig(overlay=SMALL, round=RoundConfig(start_neighbors=2))
    nodes = network.add(7, options, targets=[[float(index), 1.0, 2.0, 3.0] for index in range(7)], train_s=1.0)
    network.introduce_all()
    for _ in range(20):
        network.run(network.dice.uniform(0.1, 4))
        trouble(network, *network.dice.sample(nodes, 2))
    network.run(75)                                      # the shell compares every public model at every mixing
    assert all(node.complaints() == [] for node in nodes)
    assert max(node.round for node in nodes) - min(node.round for node in nodes) <= 3
    # Rewiring may take a node's last neighbor for a moment, never for long.
    assert all(sum(mix.heard for _, mix in node.mixes[-15:]) >= 15 for node in nodes)


def trouble(network, one, other):
    match network.dice.randrange(5):
        case 0 | 1:
            network.reset(one, other)
        case 2:
            one.crash(power=network.dice.random() < 0.5)
            network.run(network.dice.uniform(0, 3))
            one.start()
            network.introduce_all([one, other])
        case 3:
            network.cut([one], [other])
            network.run(network.dice.uniform(0, 30))
            network.heal()
        case 4:
            one.sleep(network.dice.uniform(0, 40))


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
