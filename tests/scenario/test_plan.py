"""From a scenario to peers: the same for one seed, and nothing that could not be kept."""

import pytest
from made import a_scenario

from gossipfl.config import NodeConfig, parse, to_tables
from gossipfl.errors import ConfigError
from gossipfl.scenario.plan import make


def refusal(**sections):
    with pytest.raises(ConfigError) as caught:
        make(a_scenario(**sections))
    return str(caught.value)


def test_one_seed_gives_the_same_peers_and_another_seed_others():
    scenario = a_scenario(peers={"count": 6}, overlay={"kind": "random_regular", "degree": 3},
                          liar=[{"count": 2, "attack": "label_flip", "placement": "random"}])  # fmt: skip
    one, again, other = make(scenario, 7), make(scenario, 7), make(scenario, 8)
    assert one.peers == again.peers
    assert one.edges == again.edges
    assert {peer.identity.peer_id for peer in one.peers}.isdisjoint(peer.identity.peer_id for peer in other.peers)


def test_two_runs_of_one_scenario_are_two_federations():
    one, other = make(a_scenario()), make(a_scenario())
    assert one.federation.fingerprint != other.federation.fingerprint
    assert one.federation.key


def test_the_first_seed_is_the_default_and_seeds_the_model_and_the_split():
    plan = make(a_scenario(scenario={"seeds": [11, 12]}))
    assert plan.seed == plan.federation.seed == 11
    assert [(peer.node.data.part, peer.node.data.peers, peer.node.data.seed) for peer in plan.peers] == [
        (0, 3, 11), (1, 3, 11), (2, 3, 11),
    ]  # fmt: skip


def test_neighbors_of_a_static_overlay_are_the_edges_seen_from_each_end():
    plan = make(a_scenario(overlay={"kind": "edges", "edges": [[1, 0], [1, 2]]}))
    assert [peer.neighbors for peer in plan.peers] == [(1,), (0, 2), (1,)]
    middle = plan.peers[1].node
    assert middle.overlay.kind == "static"
    assert middle.overlay.neighbors == tuple(str(plan.peers[i].identity.peer_id) for i in (0, 2))
    assert middle.round.start_neighbors == 2


def test_a_small_auto_overlay_waits_for_everyone_and_a_large_one_for_some():
    small, large = make(a_scenario(peers={"count": 8})), make(a_scenario(peers={"count": 9}))
    assert (small.neighbors_min, small.peers[0].node.round.start_neighbors) == (7, 7)
    assert (large.neighbors_min, large.peers[0].node.round.start_neighbors) == (6, 4)


def test_discovery_by_address_names_the_ports_of_the_neighbors_and_turns_mdns_off():
    scenario = a_scenario(overlay={"kind": "ring"}, peers={"count": 4}, network={"discovery": "addresses"})
    plan = make(scenario, ports=[5000, 5001, 5002, 5003])
    node = plan.peers[0].node
    assert node.listen == "127.0.0.1:5000"
    assert not node.discovery.mdns
    assert node.discovery.peers == tuple(f"{plan.peers[i].identity.peer_id}@127.0.0.1:{5000 + i}" for i in (1, 3))


def test_mdns_speaks_on_loopback_only():
    node = make(a_scenario()).peers[0].node
    assert node.discovery.interfaces == ("127.0.0.1",)
    assert node.listen == "127.0.0.1:0"


def test_node_options_survive_their_file():
    node = make(a_scenario(liar=[{"count": 1, "attack": "sign_flip"}])).peers[2].node
    assert parse(to_tables(node), NodeConfig, "node.toml") == node


@pytest.mark.parametrize(
    ("placement", "liars"),
    [("last", [4]), ("hubs", [2])],
)
def test_liars_stand_where_the_placement_says(placement, liars):
    edges = [[0, 1], [1, 2], [2, 3], [2, 4]]
    liar = [{"count": 1, "attack": "label_flip", "placement": placement}]
    plan = make(a_scenario(peers={"count": 5}, overlay={"kind": "edges", "edges": edges}, liar=liar))
    assert [peer.number for peer in plan.liars] == liars


def test_named_liars_and_counted_ones_do_not_collide():
    liars = [{"count": 2, "attack": "gaussian"}, {"peers": [4], "attack": "label_flip"}]
    plan = make(a_scenario(peers={"count": 5}, liar=liars))
    assert {peer.number: peer.liar.attack for peer in plan.liars} == {2: "gaussian", 3: "gaussian", 4: "label_flip"}
    assert [peer.number for peer in plan.honest] == [0, 1]


@pytest.mark.parametrize("engine", ["virtual", "array"])
def test_engines_that_do_not_exist_yet_say_so(engine):
    assert refusal(scenario={"engine": engine}).startswith(f'scenario.engine: "{engine}" is not yet available')


def test_churn_says_that_it_is_not_yet_available():
    assert refusal(churn={"leave": 1}).startswith("churn: is not yet available")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("peers", "speeds", [1.0, 2.0, 0.5]), ("network", "latency_ms", 20.0), ("network", "loss", 0.1),
     ("network", "bandwidth_mbit", 10.0), ("network", "partitions", [{"from_s": 1}])],
)  # fmt: skip
def test_what_only_a_simulated_network_can_do_is_refused_for_processes(section, key, value):
    message = refusal(**{section: {key: value}})
    assert message.startswith(f"{section}.{key}: ")
    assert "virtual" in message


def test_a_trimmed_mean_without_enough_neighbors_is_refused_with_the_number_needed():
    rule = {"rule": "trimmed_mean", "byzantine_max": 1}
    assert "needs 3 models" in refusal(aggregation=rule, overlay={"kind": "edges", "edges": [[0, 1], [1, 2]]})
    assert "promises 2" in refusal(aggregation=rule, overlay={"kind": "line"})
    assert make(a_scenario(aggregation=rule, overlay={"kind": "full"})).neighbors_min == 2


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"aggregation": {"rule": "wishful"}}, "no rule 'wishful'"),
        ({"codec": {"name": "gzip"}}, "no codec 'gzip'"),
        ({"overlay": {"kind": "moebius"}}, "no graph 'moebius'"),
        ({"overlay": {"kind": "ring", "edges": [[0, 1]]}}, "overlay.edges"),
        ({"overlay": {"kind": "edges", "edges": [[0, 9]]}}, "overlay.edges[0]"),
        ({"overlay": {"kind": "edges", "edges": [[0, 1]]}}, "peer 2 has no neighbor"),
    ],
)
def test_names_and_edges_that_do_not_exist_are_refused(sections, reason):
    assert reason in refusal(**sections)
