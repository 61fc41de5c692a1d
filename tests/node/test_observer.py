"""The topology as a visitor sees it, of real daemons that average along a chain: a - b - c."""

import socket
import time

import msgspec
import pytest
from daemons import Daemon, a_federation, until

from gossipfl import federation
from gossipfl.config import DiscoveryConfig, ModelConfig, OverlayConfig
from gossipfl.errors import ConfigError, UserError
from gossipfl.identity import Identity
from gossipfl.net import addresses
from gossipfl.net.interfaces import multicast_interfaces
from gossipfl.node.observer import NobodyAnswers, observe
from gossipfl.node.status import fetch

LOOPBACK = ("127.0.0.1",)
CHAIN = {"a": "b", "b": "ac", "c": "b"}
MDNS_S = 5.0                         # it takes 0.5 s, or 1.3 s where a node answered just before; CI machines are slow

needs_multicast = pytest.mark.skipif(
    not multicast_interfaces(LOOPBACK), reason="the loopback interface of this machine carries no multicast"
)


@pytest.fixture(scope="module")
def agreed(tmp_path_factory):
    return a_federation(tmp_path_factory.mktemp("agreed"))


@pytest.fixture(scope="module")
def chain(agreed, tmp_path_factory):
    """Three daemons, each of which claims its edges, and everybody knows it."""
    folder = tmp_path_factory.mktemp("chain")
    keys = {name: Identity.generate() for name in CHAIN}
    daemons, known = [], []
    for part, (name, neighbors) in enumerate(CHAIN.items()):
        keys[name].save(folder / name / "key")
        overlay = OverlayConfig(kind="static", neighbors=tuple(str(keys[other].peer_id) for other in neighbors))
        discovery = DiscoveryConfig(interfaces=LOOPBACK, peers=tuple(known[-1:]))
        daemons.append(Daemon(agreed, folder / name, part=part, overlay=overlay, discovery=discovery).start())
        known.append(daemons[-1].address)
    try:
        until(lambda: all(len(topology(daemon)["edges"]) == 2 for daemon in daemons), "all know both edges")
        yield daemons
    finally:
        for daemon in daemons:
            daemon.__exit__()


def topology(daemon):
    return fetch(daemon.node_file()["status"] + "/topology")


def host(daemon):
    return daemon.node_file()["listen"][0]


def picture(seen):
    return {key: seen[key] for key in ("nodes", "edges", "claimed")}


# ---------------------------------------------------------------------------------------------------- what is seen


@needs_multicast
def test_a_visitor_finds_a_node_by_mdns_and_sees_what_the_nodes_see(chain, agreed):
    begun = time.monotonic()
    seen = observe(federation.load(agreed), interfaces=LOOPBACK)
    assert time.monotonic() - begun < MDNS_S
    assert [picture(seen)] * 3 == [picture(topology(daemon)) for daemon in chain]
    assert [topology(daemon)["asked"] for daemon in chain] == [[daemon.node_file()["peer_id"]] for daemon in chain]
    assert set(seen["asked"]) <= set(seen["nodes"])
    assert seen["asked"]


@pytest.mark.parametrize("asked", range(3), ids=list(CHAIN))
def test_any_one_node_shows_everything(chain, agreed, asked):
    seen = observe(federation.load(agreed), peers=[host(chain[asked])], mdns=False)
    assert picture(seen) == picture(topology(chain[0]))
    assert seen["asked"] == [chain[asked].node_file()["peer_id"]]


def test_the_records_say_where_everybody_is_and_whom_it_claims(chain, agreed):
    seen = observe(federation.load(agreed), peers=[chain[2].address], mdns=False)
    records = {record["id"]: record for record in seen["records"]}
    a, b, c = (daemon.node_file()["peer_id"] for daemon in chain)
    assert {name: set(record["neighbors"]) for name, record in records.items()} == {a: {b}, b: {a, c}, c: {b}}
    assert {name: record["addresses"] for name, record in records.items()} == {
        daemon.node_file()["peer_id"]: daemon.node_file()["listen"] for daemon in chain
    }
    assert all(record["sequence"] >> 32 == 1 for record in records.values())


def test_one_that_does_not_answer_hides_nothing(chain, agreed):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place = f"127.0.0.1:{mute.getsockname()[1]}"
        seen = observe(federation.load(agreed), peers=[place, host(chain[1])], mdns=False)
    assert picture(seen) == picture(topology(chain[1]))


# --------------------------------------------------------------------------------------------------- no trace is left


def test_nobody_remembers_a_visitor(chain, agreed):
    for daemon in chain:
        observe(federation.load(agreed), peers=[host(daemon)], mdns=False)
    everybody = sorted(daemon.node_file()["peer_id"] for daemon in chain)
    for daemon in chain:
        url = daemon.node_file()["status"]
        assert sorted(topology(daemon)["nodes"]) == everybody
        assert fetch(url + "/status")["known_peers"] == 3
        until(lambda url=url: len(fetch(url + "/peers")) == 2, "the visitor's link is gone")
        assert {signer for (signer,) in daemon.query("SELECT peer FROM records")} == {one.key for one in chain}


def test_a_node_whose_interfaces_are_down_is_no_visitor():
    assert addresses.advertised(["0.0.0.0:4000"], (), ("192.0.2.1",)) == ("127.0.0.1:4000",)


# ------------------------------------------------------------------------------------------------- nobody can be asked


def sentence(error):
    text = str(error.value)
    assert isinstance(error.value, UserError)
    assert "\n" not in text
    assert "federation's id and key" in text
    return text


def test_a_visitor_with_another_key_is_refused_in_one_sentence(chain, agreed):
    wrong = msgspec.structs.replace(federation.load(agreed), key="ab" * 32)
    with pytest.raises(NobodyAnswers) as error:
        observe(wrong, peers=[host(chain[0])], mdns=False, wait_s=1.0)
    assert f"{host(chain[0])}: it refused the handshake: of another federation" in sentence(error)


def test_a_visitor_with_another_model_is_told_which(chain, agreed):
    wrong = msgspec.structs.replace(federation.load(agreed), model=ModelConfig(name="softmax", inputs=(64,)))
    with pytest.raises(NobodyAnswers) as error:
        observe(wrong, peers=[host(chain[0])], mdns=False, wait_s=1.0)
    assert "trains numpy_softmax" in sentence(error)


@needs_multicast
def test_where_nobody_is_the_wait_ends_in_time_with_the_remedy():
    alone = federation.new("alone", model=ModelConfig())
    begun = time.monotonic()
    with pytest.raises(NobodyAnswers, match="--peer") as error:
        observe(alone, interfaces=LOOPBACK, wait_s=0.5)
    assert time.monotonic() - begun < 0.5 + MDNS_S
    assert sentence(error).startswith("no node of alone answered within 0.5 s")


def test_a_place_that_accepts_and_says_nothing_does_not_hold_the_visitor():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(NobodyAnswers) as error:
            observe(federation.new("alone", model=ModelConfig()), peers=[place], mdns=False, wait_s=0.3)
    assert "within 0.3 s" in sentence(error)


def test_what_cannot_be_asked_is_refused_at_once():
    alone = federation.new("alone", model=ModelConfig())
    with pytest.raises(ConfigError, match="nobody to ask"):
        observe(alone, mdns=False)
    with pytest.raises(ConfigError, match="no address"):
        observe(alone, peers=["next door"])
