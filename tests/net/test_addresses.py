"""Addresses: one spelling, and nothing announced that nobody can dial."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.errors import ConfigError
from gossipfl.identity import Identity
from gossipfl.net import addresses
from gossipfl.net.addresses import Address, parse

ALICE = Identity.from_seed(b"a" * 32).peer_id

HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,6}){0,3}", fullmatch=True),
)


@given(HOSTS, st.integers(0, 65535), st.sampled_from([None, ALICE]))
def test_every_address_survives_being_written_and_read(host, port, peer):
    address = Address(host, port, peer)
    assert parse(str(address)) == address
    assert f"{address}" == str(address)


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_a_config_error(text):
    try:
        address = parse(text)
    except ConfigError:
        return
    assert parse(str(address)) == address


def test_an_address_with_a_peer_names_that_peer():
    assert parse(f"{ALICE}@[2001:DB8::0001]:7000") == Address("2001:db8::1", 7000, ALICE)
    assert parse("peer.example:1") == Address("peer.example", 1, None)
    assert parse("[fe80::1%eth0]:7000").host == "fe80::1%eth0"


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", ":7000", "host:65536", "host:-1", "host:٣", "::1:7000", "[::1]", "[1.2.3.4]:1", "1.2.3:4",
     "300.1.1.1:4", "a b:1", "@host:1", "QmNoPeer@host:1", "ho\nst:1", "[fe80::1%a b]:1", "x" * 500 + ":1"],
)
def test_what_is_no_address_is_refused_in_words(text):
    with pytest.raises(ConfigError) as refusal:
        parse(text)
    assert "\n" not in str(refusal.value)


def test_own_addresses_are_never_wildcards_nor_link_local_v6():
    own = [ipaddress.ip_address(host) for host in addresses.interface_addresses()]
    assert own
    assert not any(ip.is_unspecified or (ip.version == 6 and ip.is_link_local) for ip in own)
    assert not any(ip.is_loopback for ip in own) or all(ip.is_loopback for ip in own)


def test_only_the_named_interfaces_are_told():
    assert addresses.interface_addresses(("127.0.0.1",)) == ["127.0.0.1"]
    assert addresses.interface_addresses(("203.0.113.77",)) == ["127.0.0.1"], "absent: loopback is all that is left"


def test_a_wildcard_listener_is_told_as_addresses_of_its_family():
    told = [parse(text) for text in addresses.advertised(["0.0.0.0:7000", "[::]:7001"])]
    assert {address.port for address in told} == {7000, 7001}
    assert all((":" in address.host) == (address.port == 7001) for address in told)
    assert not any(ipaddress.ip_address(address.host).is_unspecified for address in told)


def test_a_fixed_listener_is_told_as_it_is_and_announce_overrules_it():
    assert addresses.advertised(["127.0.0.1:7000", "127.0.0.1:7000"]) == ("127.0.0.1:7000",)
    assert addresses.advertised(["0.0.0.0:7000"], ("vpn.example:9000",)) == ("vpn.example:9000",)


@pytest.mark.parametrize("text", ["0.0.0.0:7000", "[::]:7000", "host:0"])
def test_announcing_what_nobody_can_dial_is_refused(text):
    with pytest.raises(ConfigError, match="cannot be dialed"):
        addresses.advertised(["127.0.0.1:1"], (text,))


def test_loopback_is_told_from_a_name_that_only_looks_like_it():
    assert all(map(addresses.is_loopback, ("localhost", "127.0.0.1", "127.3.2.1", "::1")))
    assert not any(map(addresses.is_loopback, ("127.0.0.1.example", "localhost.example", "192.0.2.1", "::")))
