"""What peers agree on: its name, its terms, its key, and the file that carries them."""

import stat

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl import federation
from gossipfl.config import ModelConfig
from gossipfl.errors import ConfigError, StateError
from gossipfl.federation import Federation

FEDERATION = Federation(name="lab", id="01" * 16, key="02" * 32)


def changed(**fields):
    return msgspec.structs.replace(FEDERATION, **fields)


def test_a_federation_comes_back_from_its_file_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "lab.toml"
    made = federation.new("lab", model=ModelConfig(hidden=(32, 16)), codec="int8", seed=5)
    federation.save(made, path)
    assert federation.load(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(name=st.text(max_size=40), seed=st.integers(0, 2**62))
def test_any_name_and_seed_survive_the_file(tmp_path_factory, name, seed):
    path = tmp_path_factory.mktemp("federation") / "f.toml"
    federation.save(changed(name=name, seed=seed), path)
    assert federation.load(path) == changed(name=name, seed=seed)


def test_two_new_federations_of_one_name_are_two():
    first, second = (federation.new("lab", model=ModelConfig()) for _ in range(2))
    assert first.fingerprint != second.fingerprint
    assert first.key != second.key
    assert first.terms == second.terms


def test_closed_is_the_default_and_open_has_no_key():
    assert len(federation.new("lab", model=ModelConfig()).psk) == 32
    assert federation.new("lab", model=ModelConfig(), is_open=True).psk is None


def test_the_fingerprint_is_of_the_id_and_of_nothing_else():
    assert changed(name="other", key="", seed=9).fingerprint == FEDERATION.fingerprint
    assert changed(id="03" * 16).fingerprint != FEDERATION.fingerprint
    assert len(FEDERATION.fingerprint) == 32


@pytest.mark.parametrize(
    "fields",
    [{"seed": 1}, {"codec": "int8"}, {"model": ModelConfig(hidden=(65,))}, {"model": ModelConfig(name="softmax")}],
)
def test_the_terms_change_with_everything_that_shapes_the_vector(fields):
    assert changed(**fields).terms != FEDERATION.terms
    assert changed(**fields).fingerprint == FEDERATION.fingerprint


def test_the_terms_do_not_depend_on_who_may_join():
    assert changed(name="other", id="03" * 16, key="").terms == FEDERATION.terms


def test_a_stranger_cannot_tell_the_federation_from_its_discovery_tag():
    keyless = changed(key="")
    assert FEDERATION.discovery_tag != keyless.discovery_tag
    assert changed(key="04" * 32).discovery_tag != FEDERATION.discovery_tag
    assert len(FEDERATION.discovery_tag) == 16


def test_the_summary_says_what_is_trained():
    assert FEDERATION.summary == "mlp 64-64-10, codec float32, seed 0"
    image = ModelConfig(name="cnn", inputs=(28, 28, 1), hidden=(16, 64))
    assert changed(model=image).summary == "cnn 28x28x1-16-64-10, codec float32, seed 0"


def test_no_federation_file_is_overwritten(tmp_path):
    path = tmp_path / "lab.toml"
    federation.save(FEDERATION, path)
    with pytest.raises(StateError, match="exists"):
        federation.save(changed(name="other"), path)
    assert federation.load(path) == FEDERATION


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StateError, match="cannot write"):
        federation.save(FEDERATION, tmp_path / "absent" / "lab.toml")


def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "lab.toml"
    federation.save(FEDERATION, path)
    path.chmod(0o644)
    with pytest.raises(StateError, match=r"mode 0644.*chmod 600"):
        federation.load(path)


def test_an_open_federation_may_be_read_by_everybody(tmp_path):
    path = tmp_path / "open.toml"
    federation.save(changed(key=""), path)
    path.chmod(0o644)
    assert federation.load(path).psk is None


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"id": "01"}, "id"),
        ({"id": ""}, "id"),
        ({"id": "zz" * 16}, "id"),
        ({"key": "02" * 31}, "key"),
        ({"key": "x"}, "key"),
    ],
)
def test_an_id_or_key_that_is_not_one_is_refused_by_name(tmp_path, fields, path):
    federation.save(changed(**fields), tmp_path / "bad.toml")
    with pytest.raises(ConfigError, match="gossipfl federation new") as error:
        federation.load(tmp_path / "bad.toml")
    assert error.value.path == path


def test_an_unknown_key_in_the_file_is_refused(tmp_path):
    path = tmp_path / "lab.toml"
    federation.save(FEDERATION, path)
    path.write_text("colour = 1\n" + path.read_text())
    with pytest.raises(ConfigError, match="colour"):
        federation.load(path)
