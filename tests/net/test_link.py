"""What flows over one link: order, priorities, bounds, faults and endings.  Real sockets on loopback."""

import asyncio
import hashlib
import itertools
import random
import time

import pytest
from loopback import ALICE, BOB, linked, peer, raw_peer, run

from gossipfl.config import KIB, MIB, LimitsConfig
from gossipfl.errors import PeerError
from gossipfl.net.link import CLOSE_S, ControlTooFast, ControlTooLong
from gossipfl.net.queue import TooManyRequests
from gossipfl.wire import chunks
from gossipfl.wire.ciphers import BadRecord
from gossipfl.wire.messages import CHUNK, Cancel, Close, CloseCode, Done, Ping, Pong, encode
from gossipfl.wire.records import FRAME_BODY_MAX, BadFrame, Frame

ANYWHERE = "127.0.0.1:0"
BODY = bytes(FRAME_BODY_MAX)


def test_frames_arrive_in_order_and_every_byte_is_counted_at_both_ends():
    async def test():
        async with linked() as (ours, theirs, _, bob):
            sent = [encode(Done(round=number)) for number in range(500)]
            for frame in sent:
                ours.send(frame)
            await bob.until(lambda: len(bob.frames) == len(sent))
            assert [frame for _, frame in bob.frames] == sent
            assert all(link is theirs for link, _ in bob.frames)
            assert ours.bytes_sent == theirs.bytes_received == ours.control_bytes_sent
            assert theirs.bytes_sent == ours.bytes_received > 0

    run(test)


def test_a_payload_comes_together_at_the_other_end_and_is_not_control():
    async def test():
        async with linked() as (ours, _, _, bob):
            payload = chunks.cut(random.Random(1).randbytes(9 * MIB + 5))
            count = chunks.chunk_count(payload.size, payload.chunk_bytes)
            control_before = ours.control_bytes_sent
            for index in range(count):
                ours.send_bulk(7, chunks.pieces(payload, index))
            data = bytearray(payload.size)
            received = [0]

            def all_here():
                for _, frame in bob.frames:
                    piece = chunks.parse_piece(frame.body)
                    start = piece.chunk * payload.chunk_bytes + piece.offset
                    data[start : start + len(piece.data)] = piece.data
                    received[0] += len(piece.data)
                    assert (frame.type, frame.id) == (CHUNK, 7)
                bob.frames.clear()
                return received[0] == payload.size

            await bob.until(all_here)
            assert hashlib.sha256(data).digest() == hashlib.sha256(payload.data).digest()
            assert ours.bytes_sent > payload.size
            assert ours.control_bytes_sent == control_before

    run(test)


def test_control_overtakes_bulk_that_waits_for_a_slow_reader():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, raw_peer(bob.address, receive_bytes=64 * KIB) as raw:
            await bob.recorder.until(lambda: bob.recorder.links)
            (link,) = bob.recorder.links
            made = itertools.count()
            link.send_bulk(1, (BODY for _ in zip(made, range(1000), strict=False)))
            await raw.receive()                          # bulk flows until the buffers are full
            link.send(encode(Done(round=1)))
            link.send(encode(Ping(nonce=1)))
            codes = [(await raw.receive()).type for _ in range(60)]
            assert codes.index(0x01) < codes.index(0x04)             # PING before DONE, both before hundreds of chunks
            assert next(made) < 200

    run(test)


def test_bulk_is_made_only_as_fast_as_it_is_read():
    async def test():
        made = []
        async with peer(BOB, listen=ANYWHERE) as bob, raw_peer(bob.address, receive_bytes=64 * KIB) as raw:
            await bob.recorder.until(lambda: bob.recorder.links)
            (link,) = bob.recorder.links
            link.send_bulk(1, (made.append(None) or BODY for _ in range(1000)))
            await raw.receive()
            for _ in range(20):
                await asyncio.sleep(0)                   # turns of the loop, in which nothing more may be made
            full = len(made)
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(made) == full < 200
            for _ in range(full):
                await raw.receive()
            assert len(made) > full

    run(test)


def test_a_cancelled_transfer_stops_and_the_link_goes_on():
    async def test():
        async with linked() as (ours, _, _, bob):
            ours.send_bulk(1, itertools.repeat(BODY))
            ours.send_bulk(2, iter([b"x" * 9]))
            await bob.until(lambda: any(frame.id == 2 for _, frame in bob.frames))
            ours.cancel_bulk(1)
            ours.send(encode(Cancel(), transfer=1))
            await bob.until(lambda: any(frame.type != CHUNK for _, frame in bob.frames))
            assert bob.down == []

    run(test)


def test_control_beyond_the_queue_of_a_link_that_does_not_read_cuts_it():
    async def test():
        async with peer(BOB, listen=ANYWHERE, send_queue_bytes_max=256 * KIB) as bob, raw_peer(bob.address):
            recorder = bob.recorder
            await recorder.until(lambda: recorder.links)
            for _ in range(5):
                recorder.links[0].send(Frame(0x12, 0, 0, bytes(60 * KIB)))
            await recorder.until(lambda: recorder.down)
            assert "limit is 262144" in recorder.down[0][1]
            assert recorder.links[0].fault is None

    run(test)


def test_too_many_requests_are_the_other_ends_fault():
    async def test():
        async with linked() as (ours, _, alice, bob):
            for _ in range(LimitsConfig().requests_max + 1):
                ours.send_bulk(1, iter([]))
            await alice.until(lambda: alice.down)
            assert isinstance(ours.fault, TooManyRequests)
            assert bob.messages[-1].code == CloseCode.VIOLATION

    run(test)


@pytest.mark.parametrize("excess", [0, 1])
def test_a_control_frame_of_the_limit_passes_and_one_byte_more_closes_the_link(excess):
    async def test():
        async with linked(control_bytes_max=100) as (ours, theirs, alice, bob):
            ours.send(Frame(0x12, 0, 0, bytes(100 + excess)))
            ours.send_bulk(1, iter([bytes(1000)]))       # chunks have a bound of their own
            if excess:
                await alice.until(lambda: alice.down)
                assert bob.frames == []
                assert isinstance(theirs.fault, ControlTooLong)
                assert alice.messages == [Close(code=CloseCode.VIOLATION, text=str(theirs.fault))]
            else:
                await bob.until(lambda: len(bob.frames) == 2)

    run(test)


@pytest.mark.parametrize("excess", [0, 1])
def test_control_beyond_burst_and_rate_closes_the_link_and_chunks_do_not_count(excess):
    async def test():
        async with linked(control_burst=5, control_rate_per_s=1e-6) as (ours, theirs, alice, bob):
            ours.send_bulk(1, iter([b"x" * 9] * 50))
            await bob.until(lambda: len(bob.frames) == 50)
            for _ in range(5 + excess):
                ours.send(encode(Done(round=1)))
            if excess:
                await alice.until(lambda: alice.down)
                assert isinstance(theirs.fault, ControlTooFast)
            await bob.until(lambda: len(bob.frames) == 55)
            assert bool(alice.down) == bool(excess)

    run(test)


def test_a_rule_broken_in_the_eyes_of_the_sink_closes_that_link_and_no_other():
    async def test():
        async with (
            peer(BOB, listen=ANYWHERE) as bob,
            peer(ALICE) as alice,
            raw_peer(bob.address) as raw,
        ):
            recorder = bob.recorder
            await recorder.until(lambda: recorder.links)
            recorder.refuse_frame = PeerError("I did not ask for that")
            await raw.send(encode(Done(round=1)), encode(Done(round=2)))
            closing = await raw.receive()
            assert closing == encode(Close(code=CloseCode.VIOLATION, text="I did not ask for that"))
            assert await raw.receive() is None
            raw.sock.close()
            await recorder.until(lambda: recorder.down)
            assert recorder.down == [(recorder.links[0], "I did not ask for that")]
            assert recorder.links[0].fault is recorder.refuse_frame
            assert len(recorder.frames) == 1             # what followed was not delivered
            recorder.refuse_frame = None
            alice.dial(bob.address)
            await alice.recorder.until(lambda: alice.recorder.links)
            alice.recorder.links[0].send(encode(Done(round=3)))
            await recorder.until(lambda: len(recorder.frames) == 2)

    run(test)


@pytest.mark.parametrize(
    ("garbage", "fault"),
    [
        (lambda raw: b"\0\0", BadRecord),
        (lambda raw: b"\0\x05short", BadRecord),
        (lambda raw: b"\0\x14" + bytes(20), BadRecord),
        (lambda raw: b"\xff\xff" + bytes(65535), BadRecord),
        (lambda raw: raw.sealed(b"abc"), BadFrame),
        (lambda raw: raw.sealed(b"once") and raw.sealed(b"\1\0\0\0\0\0lost one"), BadRecord),
    ],
    ids=["empty", "no tag", "forged", "longest", "no header", "a record missing"],
)
def test_bytes_that_the_peer_never_sealed_close_the_link(garbage, fault):
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, raw_peer(bob.address) as raw:
            await raw.send_bytes(garbage(raw))
            assert (await raw.receive()).type == 0x03
            raw.sock.close()
            await bob.recorder.until(lambda: bob.recorder.down)
            assert isinstance(bob.recorder.links[0].fault, fault)
            assert bob.recorder.frames == []

    run(test)


def test_a_peer_that_vanishes_is_a_link_down_and_nobodys_fault():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob:
            async with raw_peer(bob.address):
                await bob.recorder.until(lambda: bob.recorder.links)
                bob.recorder.links[0].send_bulk(1, itertools.repeat(BODY))
            await bob.recorder.until(lambda: bob.recorder.down)
            assert bob.recorder.links[0].fault is None
            assert bob.links == []

    run(test)


def test_what_was_queued_and_the_final_frame_arrive_before_the_end():
    async def test():
        async with linked() as (ours, _, alice, bob):
            for number in range(50):
                ours.send(encode(Done(round=number)))
            ours.close(encode(Close(code=CloseCode.LEAVING)), "leaving")
            ours.send(encode(Pong(nonce=1)))             # too late
            ours.send_bulk(1, iter([BODY]))
            ours.close()
            await bob.until(lambda: bob.down)
            assert bob.messages == [*(Done(round=number) for number in range(50)), Close(code=CloseCode.LEAVING)]
            assert bob.down[0][1] == "closed by the other end"
            await alice.until(lambda: alice.down)
            assert alice.down == [(ours, "leaving")]

    run(test)


def test_a_goodbye_is_read_even_by_a_peer_that_is_in_full_flow():
    async def test():
        async with linked() as (ours, theirs, alice, bob):
            theirs.send_bulk(1, itertools.repeat(BODY))
            await alice.until(lambda: len(alice.frames) > 100)
            ours.close(encode(Close(code=CloseCode.IDLE)))
            await bob.until(lambda: bob.down)
            assert bob.messages == [Close(code=CloseCode.IDLE)]

    run(test)


def test_closing_takes_no_longer_than_promised_if_nobody_answers():
    async def test():
        async with peer(BOB, listen=ANYWHERE) as bob, raw_peer(bob.address, receive_bytes=4 * KIB):
            await bob.recorder.until(lambda: bob.recorder.links)
            (link,) = bob.recorder.links
            for _ in range(20):
                link.send(Frame(0x12, 0, 0, bytes(60 * KIB)))
            started = time.monotonic()
            link.close(encode(Close(code=CloseCode.LEAVING)))
            await bob.recorder.until(lambda: bob.recorder.down)
            assert time.monotonic() - started < CLOSE_S + 1

    run(test)
