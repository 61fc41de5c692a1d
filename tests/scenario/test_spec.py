"""The scenario file: strict, with the path of what is wrong, and overridable from the command line."""

import pytest
from made import a_scenario, tables

from gossipfl.errors import ConfigError
from gossipfl.scenario import spec
from gossipfl.scenario.liars import SignFlip


def wrong(**sections):
    with pytest.raises(ConfigError) as caught:
        a_scenario(**sections)
    return str(caught.value)


def test_a_file_without_the_optional_sections_has_defaults():
    made = spec.parse({"scenario": {"name": "least", "rounds": 1}, "peers": {"count": 2}}, "least.toml")
    assert (made.data.split, made.overlay.kind, made.codec.name, made.network.discovery) == (
        "iid", "auto", "float32", "mdns",
    )  # fmt: skip
    assert made.scenario.seeds == (1,)


@pytest.mark.parametrize("section", ["scenario", "peers", "data", "model", "training", "overlay", "aggregation",
                                     "codec", "round", "network", "expect"])  # fmt: skip
def test_an_unknown_key_is_an_error_that_names_its_section_and_file(section):
    message = wrong(**{section: {"misspelled": 1}})
    assert message.startswith(f"{section}.misspelled: unknown key; ")
    assert "tiny.toml" in message


def test_an_unknown_section_is_an_error():
    assert "attic" in wrong(attic={"ghosts": 1})


def test_a_wrong_type_is_an_error_with_the_key_path():
    assert wrong(peers={"count": "ten"}).startswith("peers.count: ")
    assert wrong(training={"epochs": 1.5}).startswith("training.epochs: ")


@pytest.mark.parametrize(
    ("section", "key", "value", "reason"),
    [("scenario", "rounds", 0, ": must be at least 1, is 0"), ("scenario", "seeds", [], ": must not be empty"),
     ("scenario", "seeds", [1, -1], "[1]: must be at least 0, is -1"),
     ("scenario", "timeout_s", 0.0, ": must be above 0, is 0.0"), ("peers", "count", 1, ": must be at least 2, is 1"),
     ("overlay", "degree", 0, ": must be at least 1, is 0"), ("overlay", "rewire_rounds", -1, ": must be at least 0"),
     ("aggregation", "byzantine_max", -1, ": must be at least 0"), ("expect", "accuracy_min", 95, ": must be at"),
     ("expect", "accuracy_mean", -0.1, ": must be at least 0, is -0.1")],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_by_name_and_with_their_bound(section, key, value, reason):
    assert wrong(**{section: {key: value}}).startswith(f"{section}.{key}{reason}")


@pytest.mark.parametrize(("options", "reason"), [
    ({"on_harm": "isolate"}, "needs a twin to go by: set alone_every"),
    ({"rule": "median", "pre": ["nnm", "nnm"]}, "pre does the same twice: nnm, nnm"),
])  # fmt: skip
def test_options_that_have_no_effect_together_are_refused(options, reason):
    assert wrong(aggregation=options).startswith("aggregation: ")
    assert reason in wrong(aggregation=options)
    assert a_scenario(aggregation={"on_harm": "isolate", "alone_every": 2}).aggregation.alone_every == 2


@pytest.mark.parametrize(
    ("section", "key", "value"), [("data", "part", 0), ("data", "seed", 3), ("round", "rounds", 9)]
)
def test_what_the_scenario_decides_itself_cannot_be_set_twice(section, key, value):
    assert wrong(**{section: {key: value}}).startswith(f"{section}.{key}: is set by the scenario")


def test_a_backdoor_may_open_to_the_last_class():
    backdoor = {"attack": "backdoor", "count": 1, "target": 9}
    assert a_scenario(liar=[backdoor]).liar[0].build().target == 9
    assert wrong(liar=[backdoor], model={"classes": 9}).startswith("liar[0].target: 9 is no class")


def test_an_attack_keeps_its_own_options_beside_the_common_ones():
    made = a_scenario(liar=[{"count": 1, "attack": "sign_flip", "scale": 3.0}])
    assert made.liar[0].build() == SignFlip(scale=3.0)
    assert made.liars == 1


@pytest.mark.parametrize(
    ("liar", "reason"),
    [
        ({"count": 1, "attack": "flattery"}, "no attack 'flattery'"),
        ({"count": 1, "attack": "sign_flip", "sclae": 3.0}, "sclae"),
        ({"count": 1, "attack": "sign_flip", "scale": -1.0}, "scale must be positive"),
        ({"count": 1, "attack": "gaussian", "sigma": 0.0}, "sigma must be positive"),
        ({"attack": "label_flip"}, "either count"),
        ({"attack": "label_flip", "count": -1}, "count: must be at least 0, is -1"),
        ({"attack": "label_flip", "count": 1, "peers": [1]}, "has both count = 1 and peers"),
        ({"attack": "label_flip", "count": 1, "placement": "far"}, "placement: cannot be 'far': choose betweenness"),
        ({"attack": "sign_flip", "count": 1, "scal": 3}, "scal: unknown key; did you mean scale"),
        ({"attack": "backdoor", "count": 1, "target": 10}, "target: 10 is no class of a model that tells 10 apart"),
        ({"attack": "model_replacement", "count": 1, "target": 12}, "choose one of 0 to 9, or raise model.classes"),
    ],
)
def test_a_liar_that_makes_no_sense_is_refused_by_its_place(liar, reason):
    message = wrong(liar=[liar])
    assert message.startswith("liar[0]")
    assert reason in message


@pytest.mark.parametrize(
    ("liars", "reason"),
    [
        ([{"count": 3, "attack": "label_flip"}], "nobody honest"),
        ([{"peers": [3], "attack": "label_flip"}], "0 to 2"),
        ([{"peers": [1], "attack": "label_flip"}, {"peers": [1], "attack": "gaussian"}], "each lies once"),
    ],
)
def test_liars_fit_among_the_peers(liars, reason):
    assert reason in wrong(liar=liars)


def test_overrides_reach_every_section_and_are_toml_or_plain_words():
    made = tables(liar=[{"count": 1, "attack": "sign_flip"}])
    overrides = ("aggregation.rule=median", "peers.count = 5", "liar.0.scale=2.5", "model.hidden=[8, 4]")
    for override in overrides:
        spec.set_key(made, override)
    parsed = spec.parse(made, "tiny.toml")
    assert (parsed.aggregation.rule, parsed.peers.count, parsed.model.hidden) == ("median", 5, (8, 4))
    assert parsed.liar[0].build() == SignFlip(scale=2.5)


def test_an_override_replaces_a_whole_list_of_sections_or_adds_one():
    made = tables(liar=[{"count": 1, "attack": "sign_flip"}], churn=[])
    for override in ("liar=[]", 'churn=[{action = "leave", count = 1, at_round = 2}]', "network.partitions=[]"):
        spec.set_key(made, override)
    parsed = spec.parse(made, "tiny.toml")
    assert parsed.liar == ()
    assert [one.action for one in parsed.churn] == ["leave"]


@pytest.mark.parametrize(
    ("override", "place"),
    [("peers.count=many", "peers.count"), ("aggregation.rul=mean", "aggregation.rul"), ("agregation.rule=mean", "agre"),
     ("peers.speeds=[1, 'slow']", "peers.speeds[1]"), ("scenario.rounds=0", "scenario.rounds")],
)  # fmt: skip
def test_the_mistake_of_an_override_is_not_the_files(tmp_path, override, place):
    path = tmp_path / "story.toml"
    path.write_text("[scenario]\nname = 'story'\nrounds = 3\n[peers]\ncount = 4\n")
    with pytest.raises(ConfigError) as error:
        spec.load(path, ("data.source=digits", override))
    assert str(error.value).startswith(place)
    assert str(error.value).endswith(f" (--set {override})")
    assert "story.toml" not in str(error.value)
    path.write_text("[scenario]\nname = 'story'\n[peers]\ncount = 4\n")
    with pytest.raises(ConfigError, match=r"missing required field `rounds` \(story.toml\)"):
        spec.load(path, ("scenario.name=other",))


@pytest.mark.parametrize("override", ["aggregation", "=1", "rule=mean", "liar.7.scale=1", "peers.count.deep=1"])
def test_an_override_that_leads_nowhere_is_refused(override):
    with pytest.raises(ConfigError):
        spec.set_key(tables(liar=[]), override)


def test_a_section_that_is_no_table_is_an_error_and_no_crash():
    assert wrong(liar={"attack": "sign_flip"}).startswith("liar: ")
    with pytest.raises(ConfigError, match="data: "):
        spec.parse({**tables(), "data": 3}, "tiny.toml")
