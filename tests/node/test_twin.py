"""The twin that learns alone: what it sees, when it wins, what follows."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_worker import AGREED, PEERS, SIZE, Steps, a_worker, mixed, shows

from gossipfl.config import AggregationConfig, DataConfig, ModelConfig, NodeConfig, TrainingConfig
from gossipfl.errors import DataError
from gossipfl.learning.data import Examples, Shard, load_shard
from gossipfl.learning.learner import LearnerContext, Metrics, TrainReport, build
from gossipfl.node.twin import EXAMPLES_MIN, HELD_BACK_MAX, HELD_BACK_MIN, Twin, divide
from gossipfl.node.worker import Worker
from gossipfl.protocol.events import Contribution, Mix


def a_shard(count):
    """Examples that carry their own number."""
    return Shard(Examples(np.arange(count, dtype=np.float32)[:, None], np.zeros(count, np.int32)),
                 Examples(-np.ones((5, 1), np.float32), np.zeros(5, np.int32)))                          # fmt: skip


class Scores:
    """A learner whose accuracy is the first number of its vector; it trains by `step`."""

    def __init__(self, step=0.0, start=0.5):
        self.x, self.step, self.trained = np.full(SIZE, start, np.float32), np.float32(step), []

    size = SIZE

    def vector(self):
        return self.x.copy()

    def load(self, vector):
        self.x = vector.copy()

    def train(self, round):
        self.trained.append(round)
        self.x = self.x + self.step
        return TrainReport(0.0, 1, 10)

    def evaluate(self):
        return Metrics(float(self.x[0]), 0.0, 100)


def rules(**changes):
    return AggregationConfig(**{"alone_every": 1, "harm_rounds": 3, **changes})


# ------------------------------------------------------------------------------------------------ what is held back


@given(st.integers(EXAMPLES_MIN, 20_000), st.integers(0, 2**40))
def test_what_is_held_back_is_seen_by_nobody_who_trains_and_is_never_a_test_example(count, stream):
    shard = a_shard(count)
    mine, twins = divide(shard, stream)
    held, trained = set(twins.test.x.ravel()), set(mine.train.x.ravel())
    assert not held & trained
    assert held | trained == set(range(count))
    assert (twins.train.x == mine.train.x).all()
    assert mine.test is shard.test
    assert -1 not in held
    assert HELD_BACK_MIN <= len(held) <= HELD_BACK_MAX


def test_the_same_peer_holds_the_same_examples_back_at_every_start():
    first, again, other = (set(divide(a_shard(200), stream)[1].test.x.ravel()) for stream in (3, 3, 4))
    assert first == again != other


def test_too_few_examples_for_a_twin_are_the_users_to_mend():
    with pytest.raises(DataError, match=f"needs {EXAMPLES_MIN} training examples.*there are 39.*alone_every = 0"):
        divide(a_shard(EXAMPLES_MIN - 1), 0)


# --------------------------------------------------------------------------------------------------- who wins


def test_a_win_is_more_than_chance_and_wins_count_in_a_row():
    twin = Twin(Scores(start=0.5), rules())
    wins = [twin.compare(round_, np.full(SIZE, mine, np.float32)).wins
            for round_, mine in enumerate([0.3, 0.3, 0.46, 0.3, 0.3, 0.3])]                              # fmt: skip
    assert wins == [1, 2, 0, 1, 2, 3], "on 100 examples 4 points are chance, 20 are not"


def test_a_single_lucky_example_is_no_win_however_often_it_is_asked():
    learner = Scores(start=1.0)
    learner.evaluate = lambda: Metrics(float(learner.x[0]), 0.0, 20)
    twin = Twin(learner, rules())
    assert [twin.compare(round_, np.full(SIZE, 0.95, np.float32)).wins for round_ in range(5)] == [0] * 5
    assert twin.compare(5, np.full(SIZE, 0.5, np.float32)).wins == 1


def test_the_alarm_comes_every_harm_rounds_wins():
    twin = Twin(Scores(), rules(harm_rounds=2))
    assert [twin.compare(round_, np.zeros(SIZE, np.float32)).is_alarm for round_ in range(5)] == [False, True] * 2 + [
        False]                                                                                           # fmt: skip


def test_a_twin_trains_only_in_its_rounds_and_is_not_changed_by_the_comparison():
    learner = Scores(step=0.125)
    twin = Twin(learner, rules(alone_every=3))
    seen = [twin.compare(round_, np.zeros(SIZE, np.float32)) for round_ in range(7)]
    assert learner.trained == [0, 3, 6]
    assert [one is None for one in seen] == [False, True, True, False, True, True, False]
    assert (twin.tensors()["twin.vector"] == 0.5 + 3 * 0.125).all()


def test_a_checkpoint_takes_the_twin_along():
    worker = a_worker(alone_every=1)
    worker.twin = Twin(Steps(2.0), worker.options.aggregation)
    worker.train(0)
    mixed(worker)
    again = a_worker(alone_every=1)
    again.twin = Twin(Steps(2.0), again.options.aggregation)
    again.resume(*worker.checkpoint(1))
    assert (again.twin.tensors()["twin.vector"] == 2).all()
    without = a_worker()
    without.resume(*worker.checkpoint(1))
    assert (without.learner.vector() == worker.learner.vector()).all()


# ------------------------------------------------------------------------------------------------- what follows


def harmed(on_harm):
    """A worker whose neighbor pulls it towards accuracy 0, and four rounds of it; the twin stays at 1."""
    worker = a_worker(0.0, alone_every=1, harm_rounds=2, on_harm=on_harm)
    worker.learner.x = np.ones(SIZE, np.float32)
    worker.twin = Twin(Scores(start=1.0), worker.options.aggregation)
    outcomes = []
    for round_ in range(4):
        worker.train(round_)
        bad = shows(PEERS[0], worker, np.zeros(SIZE), weight=0.5) if not round_ else None
        outcomes.append(mixed(worker, *([bad] if bad else [stays(PEERS[0])]), round_=round_))
    return worker, outcomes


def stays(peer):
    return Contribution(peer, (), 0.5, 1)


def test_who_is_only_to_warn_goes_on_mixing():
    worker, outcomes = harmed("warn")
    assert any(one.compared.is_alarm for one in outcomes)
    assert not worker.is_isolated
    assert worker.learner.vector()[0] < 0.2


def test_who_isolates_itself_takes_its_twins_model_and_really_mixes_no_more():
    worker, outcomes = harmed("isolate")
    alarmed = next(place for place, one in enumerate(outcomes) if one.compared is not None and one.compared.is_alarm)
    assert [one.is_isolated for one in outcomes] == [place >= alarmed for place in range(4)]
    assert (worker.learner.vector() == 1).all()
    assert outcomes[-1].compared is None, "there is nothing to compare any more"
    assert outcomes[-1].verdicts == ()
    published = worker.own.state
    worker.train(4)
    assert worker.own.state != published, "it goes on publishing"
    assert (worker.own.vector == 1).all()


class Climbing(Scores):
    """Scores with a memory besides the vector: how many rounds it has trained."""

    def state(self):
        return {"count": np.array(len(self.trained))}

    def restore(self, state):
        self.trained = [0] * int(state["count"])


def climbing():
    """A worker and a twin of 0.5, both of which gain 0.02 a round."""
    options = NodeConfig(aggregation=rules(harm_rounds=2, on_harm="isolate"))
    return Worker(Climbing(0.02), msgspec.structs.replace(AGREED, codec="float32"), options,
                  Twin(Climbing(0.02), options.aggregation))                                             # fmt: skip


def dragged(worker, first):
    """Rounds from `first` on with a neighbor that shows zeros, until the worker isolates itself; the next round."""
    for round_ in range(first, first + 60):
        worker.train(round_)
        mixed(worker, shows(PEERS[0], worker, np.zeros(SIZE), weight=0.5) if round_ == first else stays(PEERS[0]),
              round_=round_)                                                                             # fmt: skip
        if worker.is_isolated:
            return round_ + 1
    raise AssertionError("never isolated")


def test_what_an_isolated_model_learns_is_its_twins_at_the_next_start():
    worker = climbing()
    isolated = dragged(worker, 0)
    for round_ in range(isolated, isolated + 10):
        worker.train(round_)
        mixed(worker, stays(PEERS[0]), round_=round_)
    learned, again = worker.learner.vector(), climbing()
    saved, about = worker.checkpoint(isolated + 10)
    assert (saved["twin.vector"] == learned).all()
    again.resume(saved, about)
    assert not again.is_isolated, "a start tries the neighbors once more"
    dragged(again, isolated + 10)
    assert again.learner.vector()[0] > learned[0], "and leaves them no worse than it came"
    assert len(again.learner.trained) == len(again.twin._learner.trained) > len(worker.learner.trained)


def test_the_heir_of_a_twin_goes_on_exactly_as_the_twin_would():
    shard = load_shard(DataConfig(split="iid", peers=20), ModelConfig())
    context = LearnerContext(ModelConfig(), TrainingConfig(), shard, seed=1, stream=2)
    own, inner = build(context), build(context)
    twin = Twin(inner, rules())
    for round_ in range(3):
        twin.compare(round_, own.vector())
    own.train(7)
    twin.hand_over(own)
    own.train(3)
    inner.train(3)
    assert (own.vector() == inner.vector()).all(), "its momentum, too"


def test_who_catches_up_compares_nothing_and_blames_nobody():
    worker = a_worker(alone_every=1, rule="clipping", clip_radius=1e-6)
    worker.twin = Twin(Scores(), worker.options.aggregation)
    far = shows(PEERS[0], worker, np.full(SIZE, 9.0))
    outcome = worker.mix(Mix(0, (far,), 1, 1, (), (), 0.0, 0.0, catching_up=True))
    assert outcome.compared is None
    assert outcome.mixed.evidence == {}
