"""Shipped scenarios are found by name, tell their story, and are sound."""

import pytest

from gossipfl.errors import ConfigError
from gossipfl.scenario import library, spec
from gossipfl.scenario.plan import make


def test_the_scenarios_of_the_readme_are_shipped():
    assert {"quickstart", "mnist", "mnist_noniid", "sprint"} <= set(library.names())


@pytest.mark.parametrize("name", library.names())
def test_a_shipped_scenario_can_be_planned_and_bears_its_own_name(name):
    scenario = spec.load(library.find(name))
    assert scenario.scenario.name == name
    assert len(make(scenario).peers) == scenario.peers.count


@pytest.mark.parametrize("name", library.names())
def test_a_shipped_scenario_tells_its_story_and_promises_its_end(name):
    assert len(library.story(library.find(name)).split()) > 20
    promise = spec.load(library.find(name)).expect
    assert promise.accuracy_min is not None or promise.accuracy_mean is not None


def test_a_story_keeps_its_lines_and_their_indents():
    told = library.told("# A liar.\n#\n# Try, without it:  \n#   gossipfl run x\n#     --set 'liar=[]'\n\n# no story\n")
    assert told == "A liar.\n\nTry, without it:\n  gossipfl run x\n    --set 'liar=[]'"


def test_a_path_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart.toml").write_text("# mine\n")
    assert library.story(library.find("quickstart.toml")) == "mine"
    assert library.find("quickstart") == library.folder() / "quickstart.toml"


@pytest.mark.parametrize("name", ["nowhere", "nowhere.toml", "../scenarios/quickstart", ""])
def test_an_unknown_name_is_refused_with_those_there_are(name):
    with pytest.raises(ConfigError, match="quickstart"):
        library.find(name)
