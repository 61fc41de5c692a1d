"""A user's own framework comes in through one function; what is wrong with it is said in one sentence."""

import sys
from pathlib import Path

import numpy as np
import pytest

from gossipfl.config import DataConfig, ModelConfig, TrainingConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.data import Examples, Shard, load_shard
from gossipfl.learning.learner import Learner, LearnerContext, Resumable, build

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(autouse=True)
def _importable(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_learners.py").write_text(
        "import numpy as np\n"
        "def nothing(context): return None\n"
        "number = 3\n"
        "def keep(context): global seen; seen = context; return nothing(context)\n"
    )
    (tmp_path / "broken_learner.py").write_text("import no_such_framework\n")
    yield
    for name in ("own_learners", "broken_learner", "numpy_softmax"):
        sys.modules.pop(name, None)


def a_context(learner: str, shard: Shard | None = None) -> LearnerContext:
    model = ModelConfig(name="custom", inputs=(64,), learner=learner)
    return LearnerContext(model, TrainingConfig(), shard or load_shard(DataConfig(), model), seed=0, stream=1)


def test_the_numpy_example_is_a_learner_and_learns():
    learner = build(a_context("numpy_softmax:build"))
    assert isinstance(learner, Learner)
    assert not isinstance(learner, Resumable)
    assert learner.vector().shape == (learner.size,) == (650,)
    reports = [learner.train(round) for round in range(12)]
    assert (reports[0].steps, reports[0].examples) == (45, 1438)
    assert reports[-1].loss < reports[0].loss
    assert learner.evaluate().accuracy > 0.9


def test_the_numpy_example_repeats_a_round_from_a_loaded_vector():
    first, second = build(a_context("numpy_softmax:build")), build(a_context("numpy_softmax:build"))
    first.train(0)
    second.load(first.vector())
    assert (first.train(1), first.evaluate()) == (second.train(1), second.evaluate())
    assert np.array_equal(first.vector(), second.vector())


def test_a_factory_finds_floats_where_the_source_has_pixels():
    pixels = Examples(np.full((9, 64), 255, np.uint8), np.zeros(9, np.int32))
    with pytest.raises(ConfigError):
        build(a_context("own_learners:keep", Shard(pixels, pixels)))
    seen = sys.modules["own_learners"].seen
    assert (seen.shard.train.x == np.float32(1)).all()
    assert seen.shard.test.x.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", 'must be "package.module:factory", not ""'),
        ("own_learners", 'must be "package.module:factory"'),
        (":build", 'must be "package.module:factory"'),
        ("no_such_module:build", "cannot import no_such_module:build"),
        ("broken_learner:build", "No module named 'no_such_framework'"),
        ("own_learners:missing", "module own_learners has no missing"),
        ("own_learners:number", "own_learners:number is a int; it must be a function or a class"),
        ("own_learners:nothing", "NoneType, which is no Learner: it lacks size, vector, load, train, evaluate"),
    ],
)
def test_what_is_wrong_with_a_factory_is_said_in_one_sentence(name, words):
    with pytest.raises(ConfigError) as caught:
        build(a_context(name))
    assert caught.value.path == "model.learner"
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
