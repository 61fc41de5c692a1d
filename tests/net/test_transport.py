"""Who gets a link and who does not: real sockets on loopback."""

import asyncio
import socket
import time

import msgspec
import pytest
from loopback import ALICE, BOB, CAROL, CLOSED, peer, raw_peer, raw_socket, run

from gossipfl.errors import ConfigError, StateError
from gossipfl.net.connection import HandshakeCut
from gossipfl.net.sockets import remote, tune
from gossipfl.net.transport import HandshakeTimeout, TooManyHandshakes, TooManyLinks
from gossipfl.wire.ciphers import AESGCM, CHACHAPOLY, available_suites
from gossipfl.wire.handshake import UnknownSuite
from gossipfl.wire.messages import Close, CloseCode, Done, encode
from gossipfl.wire.noise import BadHandshake

ANYWHERE = "127.0.0.1:0"
OPEN = msgspec.structs.replace(CLOSED, key="")
needs_aes = pytest.mark.skipif(AESGCM not in available_suites(), reason="this processor has no AES instructions")


async def dial(dialer, listener, expected=None):
    """Both ends' links."""
    dialer.dial(listener.address, expected)
    count = len(dialer.recorder.links) + 1
    await dialer.recorder.until(lambda: len(dialer.recorder.links) == count)
    await listener.recorder.until(lambda: listener.recorder.links)
    return dialer.recorder.links[-1], listener.recorder.links[-1]


async def failure(dialer, address, expected=None):
    dialer.dial(address, expected)
    await dialer.recorder.until(lambda: dialer.recorder.failed)
    (told, reason), = dialer.recorder.failed
    assert told == address
    assert dialer.recorder.links == []
    return reason


@pytest.mark.parametrize("federation", [CLOSED, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize("suite", available_suites(), ids=lambda suite: suite.name)
@pytest.mark.parametrize("expected", [None, BOB.peer_id], ids=["whoever", "expected"])
def test_two_peers_of_one_federation_prove_themselves_to_each_other(federation, suite, expected):
    async def test():
        async with (
            peer(BOB, federation, listen=ANYWHERE, suites=[suite]) as bob,
            peer(ALICE, federation, suites=[suite]) as alice,
        ):
            ours, theirs = await dial(alice, bob, expected)
            assert (ours.peer_id, ours.is_dialer, ours.address) == (BOB.peer_id, True, bob.address)
            assert (theirs.peer_id, theirs.is_dialer) == (ALICE.peer_id, False)
            assert ours.number != theirs.number
            ours.send(encode(Done(round=1)))
            theirs.send(encode(Done(round=2)))
            await bob.recorder.until(lambda: bob.recorder.messages == [Done(round=1)])
            await alice.recorder.until(lambda: alice.recorder.messages == [Done(round=2)])

    run(test)


def test_a_peer_named_in_the_address_is_the_one_expected():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, peer(ALICE) as alice:
            assert str(CAROL.peer_id) in await failure(alice, f"{CAROL.peer_id}@{bob.address}")
            alice.dial(f"{BOB.peer_id}@{bob.address}")
            await alice.recorder.until(lambda: alice.recorder.links)

    run(test)


def test_an_unexpected_peer_is_named_and_learns_nothing_of_the_dialer():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, peer(ALICE) as alice:
            reason = await failure(alice, bob.address, CAROL.peer_id)
            assert str(CAROL.peer_id) in reason
            assert str(BOB.peer_id) in reason
            await bob.recorder.until(lambda: bob.recorder.refusals)
            assert isinstance(bob.recorder.refusals[0][1], HandshakeCut)
            assert bob.recorder.links == []

    run(test)


@pytest.mark.parametrize(
    ("mine", "yours"),
    [
        (CLOSED, msgspec.structs.replace(CLOSED, id="09" * 16)),
        (CLOSED, msgspec.structs.replace(CLOSED, key="09" * 32)),
        (CLOSED, OPEN),
        (OPEN, CLOSED),
        (OPEN, msgspec.structs.replace(OPEN, id="09" * 16)),
    ],
    ids=["other id", "other key", "closed to open", "open to closed", "other open"],
)
def test_peers_of_two_federations_never_link(mine, yours):
    async def test():
        async with peer(BOB, yours, listen=ANYWHERE) as bob, peer(ALICE, mine) as alice:
            assert await failure(alice, bob.address)
            await bob.recorder.until(lambda: bob.recorder.refusals)
            assert bob.recorder.links == []
            # The refusal is a reset, which says that no other cipher would help: there is no second attempt.
            assert len(bob.recorder.refusals) == 1

    run(test)


@needs_aes
def test_a_listener_without_aes_is_dialed_again_with_the_other_cipher():
    async def test():
        async with peer(BOB, listen=ANYWHERE, suites=[CHACHAPOLY]) as bob, peer(ALICE) as alice:
            await dial(alice, bob, BOB.peer_id)
            (_, error), = bob.recorder.refusals
            assert isinstance(error, UnknownSuite)
            assert alice.recorder.failed == []

    run(test)


@needs_aes
def test_two_peers_without_a_common_cipher_say_so():
    async def test():
        async with peer(BOB, listen=ANYWHERE, suites=[CHACHAPOLY]) as bob, peer(ALICE, suites=[AESGCM]) as alice:
            assert "without an answer" in await failure(alice, bob.address)

    run(test)


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "127.0.0.1:99999", "a..b:1", "[::1:80", "host.invalid:1"])
def test_an_address_that_cannot_be_dialed_is_a_failed_dial(address):
    async def test():
        async with peer(ALICE) as alice:
            assert await failure(alice, address)

    run(test)


def test_nobody_there_is_a_failed_dial():
    async def test():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with peer(ALICE) as alice:
            assert "127.0.0.1" in await failure(alice, address)

    run(test)


def test_a_listener_that_says_nothing_is_given_up_in_time():
    async def test():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with peer(ALICE, handshake_s=0.1) as alice:
                reason = await failure(alice, f"127.0.0.1:{silent.getsockname()[1]}")
                assert reason == "no answer within 0.1 s"

    run(test)


def test_a_port_in_use_is_named_with_the_remedy():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, peer(ALICE) as alice:
            port = bob.address.rpartition(":")[2]
            with pytest.raises(StateError, match=rf"port {port} on 127.0.0.1 is in use; .*choose another port"):
                await alice.listen(bob.address)

    run(test)


@pytest.mark.parametrize(("address", "kind"), [("nonsense", ConfigError), ("192.0.2.1:0", StateError)])
def test_a_place_where_nobody_can_listen_is_the_users_to_fix(address, kind):
    async def test():
        async with peer(ALICE) as alice:
            with pytest.raises(kind):
                await alice.listen(address)

    run(test)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no dual-stack sockets here")
def test_the_ipv6_wildcard_is_reached_over_both_families():
    async def test():
        async with peer(BOB, listen="[::]:0") as bob, peer(ALICE) as alice:
            port = bob.address.removeprefix("[::]:")
            four, six = await alice.listen("[::]:0")
            assert four.replace("0.0.0.0", "[::]") == six
            for number, host in enumerate(("127.0.0.1", "[::1]"), start=1):
                alice.dial(f"{host}:{port}", BOB.peer_id)
                await bob.recorder.until(lambda count=number: len(bob.recorder.links) == count)
                assert bob.recorder.links[-1].address.rpartition(":")[0] == host

    run(test)


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n\r\n", b"gf\x09\x01", b"gf\x01\x01\xff\xff", b"gf\x01\x01\x00\x01x"]
)
def test_what_is_no_handshake_is_refused_at_once(junk):
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob:
            with raw_socket(bob.address) as sock:
                await asyncio.get_running_loop().sock_sendall(sock, junk)
                await bob.recorder.until(lambda: bob.recorder.refusals)
            assert isinstance(bob.recorder.refusals[0][1], BadHandshake)

    run(test)


def test_a_connection_that_proves_nothing_is_cut_in_time():
    async def test():
        async with peer(BOB, listen=ANYWHERE, handshake_s=0.1) as bob:
            with raw_socket(bob.address) as sock:
                await bob.recorder.until(lambda: bob.recorder.refusals)
                assert isinstance(bob.recorder.refusals[0][1], HandshakeTimeout)
                with pytest.raises(ConnectionResetError):
                    await asyncio.get_running_loop().sock_recv(sock, 1)

    run(test)


@pytest.mark.parametrize("limits", [{"handshakes_max": 8}, {"handshakes_per_host_max": 8}], ids=["all", "one host"])
def test_half_open_connections_hold_their_places_only_until_somebody_needs_one(limits):
    async def test():
        async with peer(BOB, listen=ANYWHERE, **limits) as bob, peer(ALICE) as alice:
            loris = [raw_socket(bob.address) for _ in range(40)]
            refusals = bob.recorder.refusals
            await bob.recorder.until(lambda: len(refusals) == 32)
            started = time.monotonic()
            await dial(alice, bob, BOB.peer_id)
            assert time.monotonic() - started < 1
            assert len(refusals) == 33
            assert all(isinstance(error, TooManyHandshakes) for _, error in refusals)
            for sock in loris:
                sock.close()
            await bob.recorder.until(lambda: len(refusals) == 40)

    run(test)


def test_a_link_more_than_allowed_is_told_that_all_are_taken():
    async def test():
        async with peer(BOB, listen=ANYWHERE, links_max=1) as bob, peer(ALICE) as alice, peer(CAROL) as carol:
            await dial(alice, bob)
            ours, _ = await dial(carol, bob)
            await carol.recorder.until(lambda: carol.recorder.frames)
            assert carol.recorder.messages == [Close(code=CloseCode.BUSY, text="all 1 links are taken")]
            await carol.recorder.until(lambda: carol.recorder.down)
            assert isinstance(bob.recorder.refusals[0][1], TooManyLinks)
            assert [link.peer_id for link in bob.recorder.links] == [ALICE.peer_id]
            assert carol.links == []
            assert ours.fault is None

    run(test)


def test_a_peer_with_all_its_links_does_not_dial():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, peer(ALICE, links_max=1) as alice:
            await dial(alice, bob)
            alice.dial(bob.address)
            await alice.recorder.until(lambda: alice.recorder.failed)
            assert alice.recorder.failed == [(bob.address, "all 1 links are taken")]

    run(test)


def test_records_that_follow_the_handshake_in_one_packet_are_not_lost():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, raw_peer(bob.address) as raw:
            await raw.send(encode(Done(round=1)), encode(Done(round=2)))
            await bob.recorder.until(lambda: len(bob.recorder.frames) == 2)
            assert bob.recorder.messages == [Done(round=1), Done(round=2)]

    run(test)


def test_a_connection_that_was_reset_before_it_was_looked_at_has_no_name():
    class Gone(asyncio.BaseTransport):
        def get_extra_info(self, name, default=None):
            return default

    assert remote(Gone()) == ("", 0)


def test_leaving_closes_every_link_and_the_door():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, peer(ALICE) as alice:
            await dial(alice, bob)
            half_open = raw_socket(bob.address)
            alice.dial("192.0.2.1:1")
            await asyncio.gather(alice.aclose(), bob.aclose())
            assert bob.links == alice.links == []
            assert len(bob.recorder.down) == len(alice.recorder.down) == 1
            with pytest.raises(ConnectionRefusedError):
                raw_socket(bob.address)
            half_open.close()

    run(test)


def test_sockets_notice_dead_peers_where_the_platform_can():
    with socket.socket() as sock:
        tune(sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


def test_a_dialed_link_is_known_by_the_name_that_was_dialed():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, peer(ALICE) as alice:
            name = f"localhost:{bob.address.rpartition(':')[2]}"
            alice.dial(name, BOB.peer_id)
            await alice.recorder.until(lambda: alice.recorder.links)
            assert alice.recorder.links[0].address == name

    run(test)
