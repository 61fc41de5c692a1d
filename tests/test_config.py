"""Options come in strictly, go out readably, and say where they are wrong."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl import config
from gossipfl.config import LimitsConfig, ModelConfig, NodeConfig, RoundConfig, TrainingConfig
from gossipfl.errors import ConfigError


def written(tmp_path, text):
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_gives_the_defaults(tmp_path):
    assert config.load(written(tmp_path, ""), NodeConfig) == NodeConfig()


def test_what_is_written_is_what_counts(tmp_path):
    text = 'listen = "[::]:7000"\n[training]\nbatch_size = 8\n[discovery]\npeers = ["a:1", "b:2"]\n'
    loaded = config.load(written(tmp_path, text), NodeConfig)
    assert loaded.listen == "[::]:7000"
    assert loaded.training == TrainingConfig(batch_size=8)
    assert loaded.discovery.peers == ("a:1", "b:2")


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ("[training]\nbatch = 8\n", "training.batch", "unknown key; did you mean batch_size?"),
        ("[liveness]\nzzz = 8\n", "liveness.zzz", "unknown key; there are ping_idle_s, dead_s, gossip_s,"),
        ("[aggregation]\non_harm = 'kill'\n", "aggregation.on_harm", "cannot be 'kill': choose isolate or warn"),
        ("[training]\nbatch_size = 'many'\n", "training.batch_size", "expected `int`"),
        ("[training]\nbatch_size = 1.5\n", "training.batch_size", "expected `int`"),
        ("[training]\noptimizer = 'magic'\n", "training.optimizer", "magic"),
        ("[overlay]\nneighbors = ['a', 3]\n", "overlay.neighbors[1]", "expected `str`"),
        ("[training]\nlearning_rate = -1\n", "training.learning_rate", "must be above 0, is -1"),
        ("[training]\nmomentum = 1.0\n", "training.momentum", "must be below 1, is 1.0"),
        ("[aggregation]\ngamma = 1.5\n", "aggregation.gamma", "must be at most 1, is 1.5"),
        ("[limits]\nlinks_max = 0\n", "limits.links_max", "must be at least 1, is 0"),
        ("nonsense = 1\n", "nonsense", "unknown key; there are listen, announce"),
        ("[discovery]\nmdns = 1\n", "discovery.mdns", "expected `bool`"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_its_place(tmp_path, text, path, reason):
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        config.load(file, NodeConfig)
    assert error.value.path == path
    assert reason in str(error.value)
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    ("inputs", "hidden", "reason"),
    [
        ([64], [4, 8], "a cnn needs inputs = [height, width, channels]"),
        ([8, 8, 1], [4], "a cnn needs inputs = [height, width, channels]"),
        ([8, 8, 1], [4, 4, 4, 4, 8], "4 poolings leave nothing of [8, 8, 1]"),
    ],
)
def test_a_cnn_without_an_image_or_a_layer_is_refused(inputs, hidden, reason):
    with pytest.raises(ConfigError) as error:
        config.parse({"name": "cnn", "inputs": inputs, "hidden": hidden}, ModelConfig, "here")
    assert reason in str(error.value)
    assert config.parse({"name": "cnn", "inputs": [8, 8, 1], "hidden": [4, 4, 4, 8]}, ModelConfig, "here")


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        config.load(tmp_path / "absent.toml", NodeConfig)
    with pytest.raises(ConfigError, match="not valid TOML"):
        config.load(written(tmp_path, "listen ="), NodeConfig)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not valid TOML"):
        config.load(tmp_path / "binary.toml", NodeConfig)


def test_a_value_of_the_wrong_kind_is_refused_even_at_the_top():
    with pytest.raises(ConfigError, match="expected `object`"):
        config.parse([1], NodeConfig, "here")


@pytest.mark.parametrize(
    "section", [NodeConfig(), RoundConfig(rounds=3), LimitsConfig(), ModelConfig(inputs=(28, 28, 1))]
)
def test_options_survive_the_way_through_toml(section):
    text = config.to_toml(config.to_tables(section))
    assert config.parse(tomllib.loads(text), type(section), "memory") == section


@given(
    tables=st.dictionaries(
        st.text("abcdef_", min_size=1, max_size=6),
        st.text(max_size=30) | st.integers(-(2**63), 2**63 - 1) | st.booleans()
        | st.floats(allow_nan=False) | st.lists(st.integers(0, 9), max_size=3),
        max_size=5,
    )
)  # fmt: skip
def test_what_is_written_as_toml_is_read_back_the_same(tables):
    assert tomllib.loads(config.to_toml({"top": 1, "inner": tables})) == {"top": 1, "inner": tables}


def test_options_cannot_be_changed_behind_ones_back():
    with pytest.raises(AttributeError):
        NodeConfig().listen = "elsewhere:1"
