"""From a scenario to peers: the same for one seed, and nothing that could not be kept."""

import pytest
from made import a_scenario

from gossipfl.config import NodeConfig, parse, to_tables
from gossipfl.errors import ConfigError
from gossipfl.scenario.plan import make, speed_of, starting_without
from gossipfl.scenario.processes.detour import led, ways


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


def test_the_options_of_the_file_reach_every_node_of_every_engine():
    for engine in ("processes", "virtual"):
        made = make(a_scenario(scenario={"engine": engine}, liveness={"dead_s": 2.0}, round={"grace_s": 1.5}))
        assert {(peer.node.liveness.dead_s, peer.node.round.grace_s) for peer in made.peers} == {(2.0, 1.5)}


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


def test_the_engine_that_does_not_exist_yet_says_so():
    assert refusal(scenario={"engine": "array"}).startswith('scenario.engine: "array" is not yet available')


@pytest.mark.parametrize(
    "network",
    [{"latency_ms": 20.0}, {"loss": 0.1}, {"bandwidth_mbit": 10.0}, {"resets_per_min": 1.0},
     {"partitions": [{"groups": [[0]], "at_s": 1.0}]}],
)  # fmt: skip
def test_a_network_worse_than_loopback_needs_addresses_because_mdns_would_lead_past_the_relay(network):
    assert refusal(network=network).startswith("network.discovery: mDNS would lead real daemons past the relay")
    assert make(a_scenario(network={**network, "discovery": "addresses"}))
    assert make(a_scenario(network=network, scenario={"engine": "virtual"}))


def test_clocks_that_are_wrong_are_refused_for_real_daemons():
    assert refusal(peers={"clock_skew_s": 1.0}).startswith("peers.clock_skew_s: real daemons share the clock")


def test_speeds_are_those_of_the_first_peers():
    scenario = a_scenario(peers={"speeds": [0.1, 2.0]})
    assert [speed_of(scenario, number) for number in range(3)] == [0.1, 2.0, 1.0]


@pytest.mark.parametrize(("kind", "start"), [("auto", [2, 2, 1, 2]), ("ring", [2, 1, 1, 1])])
def test_nobody_waits_at_the_start_for_a_peer_that_comes_later(kind, start):
    plan = make(a_scenario(peers={"count": 4}, overlay={"kind": kind}))
    absent = starting_without(plan, {2})
    assert [peer.node.round.start_neighbors for peer in absent.peers] == start
    assert starting_without(plan, ()) is plan


def test_behind_the_relay_everyone_is_told_addresses_of_its_own_and_tells_none_that_leads_past_it():
    scenario = a_scenario(peers={"count": 4}, overlay={"kind": "ring"}, network={"discovery": "addresses"})
    plan = make(scenario, ports=[5000, 5001, 5002, 5003])
    real = ways(plan)
    assert real[0, 1] == 5001
    assert set(real) == {(a, b) for a in range(4) for b in ((a + 1) % 4, (a - 1) % 4)}
    relayed = led(plan, {pair: 6000 + number for number, pair in enumerate(real)}, "127.0.0.1:7000")
    told = [address for peer in relayed.peers for address in peer.node.discovery.peers]
    assert len(set(told)) == len(told) == 8
    assert not any(":500" in address for address in told)
    for peer in relayed.peers:
        assert [address.partition("@")[0] for address in peer.node.discovery.peers] == list(peer.node.overlay.neighbors)
        assert peer.node.listen == f"127.0.0.1:500{peer.number}"
        assert peer.node.announce == ("127.0.0.1:7000",)


def test_where_peers_choose_there_is_a_way_from_everyone_to_everyone():
    plan = make(a_scenario(network={"discovery": "addresses"}), ports=[5000, 5001, 5002])
    assert set(ways(plan)) == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_a_trimmed_mean_without_enough_neighbors_is_refused_with_the_number_needed():
    rule = {"rule": "trimmed_mean", "byzantine_max": 1}
    assert "needs 3 models" in refusal(aggregation=rule, overlay={"kind": "edges", "edges": [[0, 1], [1, 2]]})
    assert "give each peer more neighbors" in refusal(aggregation=rule, overlay={"kind": "line"})
    assert make(a_scenario(aggregation=rule, overlay={"kind": "full"})).neighbors_min == 2


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"aggregation": {"rule": "wishful"}}, "no rule 'wishful'"),
        ({"aggregation": {"rule": "centered_clipping", "clip_radius": 0}}, "set the length to which"),
        ({"aggregation": {"rule": "median", "pre": ["norm_clipping"], "clip_radius": 0}}, "norm_clipping measures no"),
        ({"codec": {"name": "gzip"}}, "no codec 'gzip'"),
        ({"overlay": {"kind": "moebius"}}, "no graph 'moebius'"),
        ({"overlay": {"kind": "ring", "edges": [[0, 1]]}}, "overlay.edges"),
        ({"overlay": {"kind": "edges", "edges": [[0, 9]]}}, "overlay.edges[0]"),
        ({"overlay": {"kind": "edges", "edges": [[0, 1]]}}, "peer 2 has no neighbor"),
    ],
)
def test_names_and_edges_that_do_not_exist_are_refused(sections, reason):
    assert reason in refusal(**sections)
