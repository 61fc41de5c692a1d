"""The learning thread's work, without threads: train, encode, follow, mix."""

import msgspec
import numpy as np
import pytest

from gossipfl import federation
from gossipfl.codec import CODECS
from gossipfl.config import AggregationConfig, ModelConfig, NodeConfig, RoundConfig
from gossipfl.errors import StateError
from gossipfl.identity import Identity
from gossipfl.learning.learner import Metrics, TrainReport
from gossipfl.node.worker import Worker
from gossipfl.protocol.events import Contribution, Mix, Update
from gossipfl.wire.chunks import cut
from gossipfl.wire.manifest import Manifest, next_state

AGREED = federation.new("test", model=ModelConfig(name="custom", learner="none:none"))
SIZE = 6
PEERS = [Identity.from_seed(bytes([number] * 32)).peer_id for number in range(1, 6)]


class Steps:
    """A learner that adds `step` to every parameter in a round."""

    size = SIZE

    def __init__(self, step=1.0):
        self.step, self.x = np.float32(step), np.zeros(SIZE, np.float32)

    def vector(self):
        return self.x.copy()

    def load(self, vector):
        self.x = vector.copy()

    def train(self, round):
        with np.errstate(over="ignore"):
            self.x = self.x + self.step
        return TrainReport(0.5, 1, 10)

    def evaluate(self):
        return Metrics(0.25, 1.0, 4)


def a_worker(step=1.0, *, codec="float32", **rules):
    options = NodeConfig(aggregation=AggregationConfig(**rules), round=RoundConfig(rounds=10, evaluate_every=2))
    return Worker(Steps(step), msgspec.structs.replace(AGREED, codec=codec), options)


def shows(peer, worker, vector, weight=0.25):
    """What `peer` contributes if its first update takes its public model to `vector`."""
    delta = np.asarray(vector, np.float32) - worker._genesis.vector
    payload = cut(CODECS[worker.federation.codec].encode(delta))
    manifest = Manifest(
        federation=bytes(32), kind="delta", round=0, sequence=1, base=worker._genesis.state,
        state=next_state(worker._genesis.state, payload.root), codec=worker.federation.codec, size=payload.size,
        root=payload.root, spec=bytes(32), examples=1, degree=1, created_ms=0,
    )  # fmt: skip
    return Contribution(peer, (Update(manifest, memoryview(payload.data)),), weight, 0)


def mixed(worker, *contributions, round_=0):
    return worker.mix(Mix(round_, contributions, len(contributions), len(contributions), (), (), 0.0, 0.0))


def test_training_publishes_the_difference_and_moves_the_public_model_with_it():
    worker = a_worker()
    trained = worker.train(0)
    assert np.frombuffer(trained.payload.data, np.float32) == pytest.approx(np.ones(SIZE))
    assert (worker.own.vector == 1).all()
    assert worker.own.state == next_state(worker._genesis.state, trained.payload.root)
    assert np.frombuffer(worker.train(1).payload.data, np.float32) == pytest.approx(np.ones(SIZE))


def test_the_mean_moves_my_model_by_the_weighted_differences():
    worker = a_worker()
    worker.train(0)
    outcome = mixed(worker, shows(PEERS[0], worker, np.full(SIZE, 5.0)), shows(PEERS[1], worker, np.full(SIZE, 9.0)))
    assert worker.learner.vector() == pytest.approx(np.full(SIZE, 1 + 0.25 * 4 + 0.25 * 8))
    assert outcome.refused == {}
    assert outcome.distance == pytest.approx(np.sqrt((16 * SIZE + 64 * SIZE) / 2))


def test_gamma_shortens_the_step():
    worker = a_worker(gamma=0.5)
    worker.train(0)
    mixed(worker, shows(PEERS[0], worker, np.full(SIZE, 5.0)))
    assert worker.learner.vector() == pytest.approx(np.full(SIZE, 1 + 0.5 * 0.25 * 4))


def test_a_model_of_no_numbers_is_the_signers_fault_and_moves_nobody():
    worker = a_worker()
    worker.train(0)
    liar = shows(PEERS[0], worker, np.full(SIZE, 5.0))
    poisoned = Update(liar.updates[0].manifest, memoryview(np.full(SIZE, np.nan, np.float32).tobytes()))
    outcome = mixed(worker, Contribution(PEERS[0], (poisoned,), 0.25, 0))
    assert list(outcome.mixed.broken) == list(outcome.refused) == [PEERS[0]]
    assert (worker.learner.vector() == 1).all()


def test_a_model_that_is_absurdly_far_away_is_screened_out_and_the_others_count():
    worker = a_worker(distance_ratio_max=10.0)
    worker.train(0)
    far, near = shows(PEERS[0], worker, np.full(SIZE, 1e6)), shows(PEERS[1], worker, np.full(SIZE, 5.0))
    outcome = mixed(worker, far, near)
    assert "over the limit" in outcome.refused[PEERS[0]]
    assert outcome.mixed.broken == {}
    assert worker.learner.vector() == pytest.approx(np.full(SIZE, 2.0))


def test_too_few_models_for_the_rule_leave_mine_as_it_is_and_say_so():
    worker = a_worker(rule="trimmed_mean", byzantine_max=1)
    worker.train(0)
    outcome = mixed(worker, shows(PEERS[0], worker, np.full(SIZE, 5.0)))
    assert (worker.learner.vector() == 1).all()
    assert outcome.told == ("! not mixed: trimmed_mean needs 3 models, my own included, and has 2",)


def test_a_stale_neighbor_is_followed_but_does_not_weigh():
    worker = a_worker()
    worker.train(0)
    mixed(worker, shows(PEERS[0], worker, np.full(SIZE, 5.0), weight=0.0))
    assert (worker.learner.vector() == 1).all()
    assert (worker._models[PEERS[0]].vector == 5).all()


def test_a_diverged_model_goes_back_to_the_one_published_last():
    worker = a_worker()
    worker.train(0)
    worker.learner.step = np.float32(np.inf)
    trained = worker.train(1)
    assert (np.frombuffer(trained.payload.data, np.float32) == 0).all()
    assert (worker.learner.vector() == 1).all()


def test_what_a_coarse_codec_loses_rides_along_next_time():
    worker, target = a_worker(0.0, codec="int8"), np.linspace(-1, 1, SIZE).astype(np.float32)
    worker.learner.x = target
    errors = []
    for number in range(4):
        worker.train(number)
        errors.append(np.abs(worker.own.vector - target).max())
    assert errors[-1] < 1e-5 < errors[0]


def test_evaluation_comes_when_it_is_due_and_after_the_last_round():
    worker = a_worker()
    worker.train(0)
    assert [mixed(worker, round_=number).metrics is not None for number in (0, 1, 2, 9)] == [True, False, True, True]


def test_a_checkpoint_resumes_model_public_model_and_round():
    worker = a_worker()
    worker.train(0)
    mixed(worker, shows(PEERS[0], worker, np.full(SIZE, 5.0)))
    again = a_worker()
    assert again.resume(*worker.checkpoint(7)) == 7
    assert (again.learner.vector() == worker.learner.vector()).all()
    assert (again.own.vector == worker.own.vector).all()
    assert again.own.state == worker.own.state


def test_a_checkpoint_of_another_model_is_refused_with_the_way_out():
    tensors, about = a_worker().checkpoint(1)
    other = Worker(Steps(), msgspec.structs.replace(AGREED, seed=1), NodeConfig())
    with pytest.raises(StateError, match="of another model"):
        other.resume(tensors, about)
    with pytest.raises(StateError, match="move it away"):
        a_worker().resume(tensors | {"vector": np.zeros(SIZE + 1, np.float32)}, about)


def test_how_the_dice_of_a_rule_fall_nobody_else_knows():
    """bucketing deals its buckets by them: with another secret, of the same public state, others share a bucket."""
    def vector(secret):
        worker = a_worker(0.0, rule="median", pre=("bucketing",))
        worker.secret = secret
        mixed(worker, *(shows(peer, worker, np.full(SIZE, 2.0**place)) for place, peer in enumerate(PEERS)))
        return worker.learner.vector().tolist()

    assert vector(1) == vector(1)
    assert len({tuple(vector(secret)) for secret in range(8)}) > 1
