"""When a round begins, how long it waits, what it mixes, and when all is done."""

import random

import numpy as np
import pytest
from network import FEDERATION, START_S, Network
from puppet import Stranger, Subject, deliver, of, sends

from gossipfl.config import NodeConfig, RoundConfig
from gossipfl.protocol.events import Mix, Train, Trained, Update
from gossipfl.protocol.round import Phase, Round
from gossipfl.wire.chunks import cut
from gossipfl.wire.manifest import open_manifest
from gossipfl.wire.messages import Done, Want

WIDTH = 8


def targets(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)


def a_mesh(seed, count, train_s=0.2, *, latency_s=(0.001, 0.01), start=True, **options):
    """`count` peers that all know each other; train_s: seconds, or a function of (dice, index, round)."""
    options = {"start_neighbors": count - 1, "rounds": 20} | options
    network = Network(seed, latency_s=latency_s)
    nodes = network.add(count, NodeConfig(round=RoundConfig(**options)), start=start, targets=targets(count, seed))
    for index, node in enumerate(nodes):
        dice = random.Random(f"{seed} {index}")
        node.train_s = (lambda r, d=dice, i=index: train_s(d, i, r)) if callable(train_s) else train_s
    if start:
        network.introduce_all()
    return network, nodes


def finish(network, nodes, seconds=600):
    assert network.until(lambda: all(node.finished for node in nodes), seconds)
    assert all(node.complaints() == [] for node in nodes)


def mixes(node, after=0):
    return [mix for _, mix in node.mixes if mix.round >= after]


def late_share(nodes, after=2):
    every = [mix for node in nodes for mix in mixes(node, after)]
    return sum(len(mix.late) for mix in every) / sum(mix.expected for mix in every)


def a_checkpoint(round_):
    tensors = {"vector": np.zeros(WIDTH, np.float32), "public": np.zeros(WIDTH, np.float32)}
    return tensors, {"round": str(round_), "state": (b"s" * 32).hex(), "terms": FEDERATION.terms.hex()}


def threefold(dice, index, number):
    return 0.1 * dice.uniform(1, 3)


# ------------------------------------------------------------------------------------- what is mixed, bit for bit


@pytest.mark.parametrize("seed", range(3))
def test_synchronous_peers_mix_exactly_their_own_round_of_every_neighbor(seed):
    network, nodes = a_mesh(seed, 4, threefold, mode="synchronous", latency_s=(0.001, 0.2))
    finish(network, nodes)
    for node in nodes:
        assert [mix.round for mix in mixes(node)] == list(range(20))
        for mix in mixes(node):
            assert [len(c.updates) for c in mix.contributions] == [1, 1, 1]
            assert {c.updates[0].manifest.round for c in mix.contributions} == {mix.round}
            assert {c.weight for c in mix.contributions} == {0.25}
            assert mix.late == mix.stale == ()


@pytest.mark.parametrize("seed", range(3))
def test_asynchronous_equals_synchronous_bit_for_bit_when_nothing_is_late(seed):
    finals = []
    for mode in ("asynchronous", "synchronous"):
        network, nodes = a_mesh(seed, 4, threefold, mode=mode)
        finish(network, nodes)
        assert late_share(nodes, 0) == 0
        finals.append([node.vector.tobytes() for node in nodes])
    assert finals[0] == finals[1]


def test_a_run_is_the_mean_gossip_that_the_formula_says():
    network, nodes = a_mesh(5, 4, mode="synchronous", rounds=12)
    finish(network, nodes)
    x = np.tile(nodes[0].learner.__class__(nodes[0].target).vector(), (4, 1)).astype(np.float64)
    for _ in range(12):
        half = x + 0.2 * (targets(4, 5) - x)
        x = half + 0.25 * (half.sum(axis=0) - 4 * half)
    np.testing.assert_allclose([node.vector for node in nodes], x, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_run():
    finals = []
    for _ in range(2):
        network, nodes = a_mesh(7, 5, threefold)
        network.run(4)
        finals.append([(node.round, node.vector.tobytes(), node.ticks) for node in nodes])
    assert finals[0] == finals[1]


# ------------------------------------------------------------------------------------------------- in step


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("base_s", [0.02, 1.0])
def test_equal_peers_whose_rounds_vary_threefold_stay_in_step(seed, base_s):
    network, nodes = a_mesh(seed, 8, lambda dice, i, r: base_s * dice.uniform(1, 3), rounds=25)
    finish(network, nodes)
    assert late_share(nodes) == 0


@pytest.mark.parametrize("seed", range(3))
def test_peers_that_share_two_cores_stay_in_step(seed):
    network, nodes = a_mesh(seed, 8, rounds=25)
    free_at = [0.0, 0.0]

    def on_a_core(_):
        core = min((0, 1), key=free_at.__getitem__)
        free_at[core] = max(free_at[core], network.now) + 0.05 * network.dice.uniform(1, 2)
        return free_at[core] - network.now

    for node in nodes:
        node.train_s = on_a_core
    finish(network, nodes)
    assert late_share(nodes) < 0.02


@pytest.mark.parametrize("first_s", [3.0, 30.0])
def test_a_late_first_round_puts_nobody_out_of_step_for_ever(first_s):
    def train_s(dice, index, number):
        return first_s if index == 0 and number == 0 else 0.2 * dice.uniform(0.8, 1.2)

    network, nodes = a_mesh(3, 4, train_s, rounds=0, deadline_s=min(2.0, first_s))
    network.run(first_s + 10)
    reached = max(node.round for node in nodes)
    network.run(5)
    assert {node.round for node in nodes} <= set(range(reached + 10, reached + 40))
    assert max(node.round for node in nodes) - min(node.round for node in nodes) <= 1
    assert late_share(nodes, reached) == 0
    assert all(len(c.updates) == 1 for node in nodes for mix in mixes(node, reached) for c in mix.contributions)


def test_one_long_pause_puts_nobody_out_of_step_for_ever():
    def train_s(dice, index, number):
        return 5.0 if index == 0 and number == 20 else 0.2

    network, nodes = a_mesh(4, 4, train_s, rounds=0)
    network.run(20)
    reached = max(node.round for node in nodes)
    network.run(5)
    assert late_share(nodes, reached) == 0


# -------------------------------------------------------------------------------------------- slow and silent


def one_slow(times):
    return lambda dice, index, number: (times if index == 0 else 1.0) * 0.2 * dice.uniform(0.97, 1.03)


@pytest.mark.parametrize("seed", range(2))
def test_a_neighbor_five_times_slower_is_not_waited_for_and_its_newest_model_still_enters(seed):
    network, (slow, *others) = a_mesh(seed, 4, one_slow(5), rounds=0)
    network.run(50)
    for node in others:
        after = [mix for at, mix in node.mixes if at > START_S + 15]
        assert max(mix.wait_s for mix in after) < 0.2
        from_slow = [c for mix in after for c in mix.contributions if c.peer == slow.name]
        assert len(from_slow) == len(after)
        assert {c.staleness for c in from_slow} >= {0, 1, 2, 3}
        assert max(c.staleness for c in from_slow) <= 6
        assert all(c.weight > 0 for c in from_slow)
        assert sum(len(c.updates) for c in from_slow) >= 30
    assert 35 <= len(slow.mixes) <= 50
    assert slow.round >= others[0].round - 8 - 6         # its count follows its neighborhood's


def test_a_neighbor_twice_as_slow_is_waited_for():
    network, nodes = a_mesh(1, 5, one_slow(2), rounds=30)
    finish(network, nodes)
    assert late_share(nodes, 0) == 0


def test_a_model_older_than_the_bound_is_left_out_until_a_new_one_comes():
    network, (slow, *others) = a_mesh(2, 4, one_slow(30), rounds=0, staleness_rounds_max=8)
    network.run(60)
    for node in others:
        seen = [(c.staleness, c.weight, slow.name in mix.stale, bool(c.updates))
                for mix in mixes(node, 5) for c in mix.contributions if c.peer == slow.name]  # fmt: skip
        assert all((weight == 0.0) == is_stale == (staleness > 8) for staleness, weight, is_stale, _ in seen)
        assert max(staleness for staleness, *_ in seen) > 8
        assert sum(updates for *_, updates in seen) >= 5


def test_a_silent_peer_costs_one_patience_only():
    def train_s(dice, index, number):
        return 1e6 if index == 0 and number >= 15 else 0.2

    network, (silent, *others) = a_mesh(3, 5, train_s, rounds=60)
    assert network.until(lambda: all(node.round >= 15 for node in others), 60)
    started = network.now
    assert network.until(lambda: all(node.round >= 35 for node in others), 60)
    patience_s = others[0].options.round.patience * 0.25
    assert network.now - started < 20 * 0.25 + patience_s + 0.5
    assert silent.name in others[0].neighbors


@pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
def test_a_neighbor_is_not_waited_for_once_its_old_updates_leave_no_place_for_new_ones(mode):
    subject, behind = Subject(NodeConfig(round=RoundConfig(mode=mode))), Stranger(1)
    subject.ready(round=5)
    number = subject.befriend(behind)
    assert of(subject.wait(0.5), Train) == [Train(5)]
    for old in (0, 1):
        deliver(subject, number, *behind.update(round=old))
    for newer in (2, 5):
        assert sends(subject.hears(number, behind.update(round=newer)[0]), Want) == []
    (mix,) = of(subject.handle(Trained(5, cut(bytes(16)), 1, 0.0)), Mix)
    assert [update.manifest.round for update in mix.contributions[0].updates] == [0, 1]


def test_a_dead_link_costs_nothing():
    network, (dying, *others) = a_mesh(4, 5, rounds=40)
    assert network.until(lambda: dying.round >= 10, 60)
    dying.crash()
    finish(network, others)
    assert max(mix.wait_s for node in others for mix in mixes(node, 2)) < 0.1


def test_a_synchronous_peer_waits_no_longer_than_its_deadline():
    def train_s(dice, index, number):
        return 1e6 if index == 0 and number >= 5 else 0.2

    network, (_, *others) = a_mesh(5, 3, train_s, rounds=8, mode="synchronous", deadline_s=3.0, linger_s=5.0)
    finish(network, others)
    for node in others:
        assert all(mix.wait_s == pytest.approx(3.0, abs=0.05) for mix in mixes(node, 5))
        assert all(len(mix.late) == 1 for mix in mixes(node, 5))


# ------------------------------------------------------------------------------------------- newcomers and liars


@pytest.mark.parametrize("members", [1, 2, 4])
def test_a_newcomer_takes_its_neighbors_models_and_round_before_it_trains(members):
    network, nodes = a_mesh(6, members + 1, rounds=0, start=False, start_neighbors=max(members - 1, 0))
    newcomer, *others = nodes
    for node in others:
        node.start()
    network.introduce_all(others)
    assert network.until(lambda: others[0].round >= 20, 120)
    newcomer.options = NodeConfig(round=RoundConfig(start_neighbors=members))
    newcomer.start()
    network.introduce_all()
    assert network.until(lambda: newcomer.mixes, 30)
    first = newcomer.mixes[0][1]
    assert first.catching_up
    assert newcomer.learner.trained[:1] in ([], [newcomer.round])
    assert abs(newcomer.round - others[0].round) <= 2
    mean = np.mean([node.vector for node in others], axis=0)
    assert np.linalg.norm(newcomer.worker.learner.vector() - mean) < 1.0
    network.run(10)
    assert late_share(nodes, newcomer.round - 20) == 0


def test_a_liar_about_its_round_moves_nobody():
    network, (liar, *others) = a_mesh(7, 5, rounds=30, start=False)
    liar.checkpoint = a_checkpoint(round_=9_000)
    liar.options = NodeConfig(round=RoundConfig(start_neighbors=4))
    for node in (liar, *others):
        node.start()
    network.introduce_all()
    assert network.until(lambda: all(node.finished for node in others), 120)
    for node in others:
        assert node.learner.trained == list(range(30))


def test_who_counts_a_million_rounds_more_moves_nobody_and_is_waited_for_by_nobody():
    network, (liar, *others) = a_mesh(8, 4, 0.5, rounds=0, start=False)
    liar.checkpoint = a_checkpoint(round_=1_000_000)
    for node in (liar, *others):
        node.start()
    network.introduce_all()
    network.run(60)
    for node in others:
        assert 80 < node.round < 120
        assert len(node.neighbors) == 3


def test_who_comes_back_from_another_age_is_no_rule_breaker_and_finds_the_time_again():
    network, (lone, *others) = a_mesh(8, 4, 0.5, rounds=0, start=False)
    lone.checkpoint = a_checkpoint(round_=100)
    lone.options = NodeConfig(round=RoundConfig(start_neighbors=0))
    for node in others:
        node.checkpoint = a_checkpoint(round_=50_000)
    for node in (lone, *others):
        node.start()
    network.introduce_all(others)
    network.run(30)                                      # it trains alone: as if asleep, or cut off, for hours before
    assert 100 < lone.round < 200
    assert min(node.round for node in others) > 50_000
    network.introduce_all()
    assert network.until(lambda: abs(lone.round - others[0].round) <= 2, 30)
    network.run(30)
    for node in (lone, *others):
        assert len(node.neighbors) == 3
        assert not any(record.strikes for record in node.peer.membership.links.manners.values())


# ----------------------------------------------------------------------------------------------- the beginning


def test_the_first_round_waits_for_so_many_neighbors_and_no_longer_than_it_may():
    network, nodes = a_mesh(9, 3, start_neighbors=2, start_wait_s=30.0)
    network.run(2)
    assert all(node.learner.trained for node in nodes)
    (alone,) = network.add(1, NodeConfig(round=RoundConfig(start_neighbors=2, start_wait_s=30.0)))
    network.run(29)
    assert alone.learner.trained == []
    network.run(3)
    assert alone.learner.trained[0] == 0


def test_a_peer_that_starts_again_needs_one_neighbor_and_not_all_it_first_waited_for():
    network, (gone, again, *others) = a_mesh(10, 4, rounds=0)
    assert network.until(lambda: again.round >= 3, 30)
    for node in (gone, again):
        node.crash()
    network.run(5)
    again.start()
    network.introduce_all([again, *others])
    assert network.until(lambda: again.learner.trained, 3)
    assert again.round >= others[0].round - 1


# ------------------------------------------------------------------------------------------------------ the end


@pytest.mark.parametrize("seed", range(3))
def test_done_is_told_and_all_finish_together(seed):
    network, nodes = a_mesh(seed, 5, threefold)
    finish(network, nodes, 30)
    network.run(2)
    for node in nodes:
        assert node.round == 20
        assert "20 rounds done" in node.finished
        assert sum(isinstance(message, Done) for message in node.sent) >= 4
        assert node.links == {}


@pytest.mark.parametrize("seed", range(3))
def test_whoever_jumps_to_the_others_time_still_does_the_last_round(seed):
    network, nodes = a_mesh(seed, 4, lambda dice, index, number: 3.0 if index == 0 else 0.1, rounds=60)
    finish(network, nodes, 120)
    slow = nodes[0].learner.trained
    assert len(slow) < 10                                # it did jump
    assert all(node.learner.trained[-1] == 59 for node in nodes)
    assert all(mixes(node)[-1].round == 59 for node in nodes)


def test_whoever_is_done_serves_the_slow_until_they_are_done_too():
    network, nodes = a_mesh(1, 4, one_slow(2.5), rounds=12)
    finish(network, nodes)
    assert all(len(mixes(node)) == 12 for node in nodes)


def test_whoever_is_done_lingers_no_longer_than_it_may():
    def train_s(dice, index, number):
        return 1e6 if index == 0 and number >= 5 else 0.2

    network, (_, *others) = a_mesh(2, 4, train_s, rounds=10, linger_s=7.0)
    finish(network, others)
    for node in others:
        assert 6.9 < network.now - node.mixes[-1][0] < 8.5


def test_a_peer_restarted_after_its_last_round_is_done_at_once():
    network, nodes = a_mesh(3, 3, rounds=5)
    finish(network, nodes)
    trained = len(nodes[0].learner.trained)
    assert trained == 5
    nodes[0].start()
    network.run(25)
    assert nodes[0].finished
    assert nodes[0].learner.trained == []


# ------------------------------------------------------------------------------------------- the machine alone


def updates_of(number, round_):
    announce, payload = Stranger(number).update(round=round_, degree=3)
    return Update(open_manifest(announce.manifest).document, memoryview(payload.data))


def a_round(now=0.0, **options):
    round_ = Round(RoundConfig(**{"start_neighbors": 0} | options))
    round_.ready(0, now)
    round_.begin(0, False, now)
    assert round_.begin(0, False, now + 0.2) == [Train(0)]
    return round_


def test_weights_are_metropolis_hastings_from_claimed_degrees_and_claims_are_bounded():
    round_ = a_round()
    for number, degree in ((1, 1), (2, 5), (3, 10**9)):
        peer = Stranger(number).name
        round_.joined(peer, [], 0.0)
        round_.arrived(peer, updates_of(number, 0), 0.3)
        round_.paces[peer].degree = degree
    round_.trained(0.1, 0.3)
    mix = round_.mix(lambda peer, at: (), [], 64, 0.4)
    weights = {c.peer: c.weight for c in mix.contributions}
    assert [weights[Stranger(number).name] for number in (1, 2, 3)] == [1 / 4, 1 / 6, 1 / 65]


def test_a_neighbor_that_waits_for_me_is_not_slow():
    round_ = a_round()
    peer = Stranger(1).name
    round_.joined(peer, [], 0.0)
    now = 0.2
    for number in range(10):
        round_.arrived(peer, updates_of(1, number), now + 0.1)           # long before I am ready
        round_.trained(5.0, now + 5.0)
        round_.mix(lambda peer, at: (), [], 64, now + 5.0)
        now += 5.1
        round_.mixed(now)
    assert round_.phase is Phase.TRAINING
    assert round_.paces[peer].turnaround_s < 0.3


@pytest.mark.parametrize(("mode", "until"), [("asynchronous", 7.0), ("synchronous", 30.3)])
def test_what_is_announced_and_stands_still_is_waited_for_no_longer_than_there_is_hope(mode, until):
    round_ = a_round(mode=mode)
    round_.joined(Stranger(1).name, [], 0.0)
    round_.trained(0.1, 0.3)
    assert round_.waits_until(lambda peer: None, 0.0) == 30.3        # nothing is announced: it may still be training
    assert round_.waits_until(lambda peer: 7.0, 0.0) == until
    assert round_.waits_until(lambda peer: 100.0, 0.0) == 30.3


def test_a_newcomer_leaves_the_time_to_its_neighbors_only_if_they_outvote_the_declared_liars():
    assert not Round(RoundConfig(), byzantine_max=1).is_elsewhere([10**6])
    assert Round(RoundConfig(), byzantine_max=1)._time_among([40, 10**6]) == 41
    assert Round(RoundConfig(), byzantine_max=1).is_elsewhere([40, 41, 10**6])
    assert Round(RoundConfig(), byzantine_max=1)._time_among([40, 41, 10**6]) == 42


def test_a_round_that_no_network_can_have_reached_is_nobodys_time():
    assert not a_round().is_elsewhere([2**63 - 1])


def test_a_newcomer_with_one_neighbor_believes_it_and_an_old_hand_does_not():
    assert a_round().is_elsewhere([1000])
    old_hand = Round(RoundConfig())
    old_hand.ready(40, 0.0)
    assert not old_hand.is_elsewhere([1000])
    assert old_hand.is_elsewhere([1000, 1001])
    assert not old_hand.is_elsewhere([40, 41, 10**6])
    assert not old_hand.is_elsewhere([0, 1, 2])
