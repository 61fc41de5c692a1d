"""Which frame goes next: liveness, control, bulk; transfers in turn; and every queue has an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.net.queue import QueueOverflow, SendQueue, TooManyRequests
from gossipfl.wire.messages import CHUNK, Close, Done, Ping, Pong, encode
from gossipfl.wire.records import FRAME_BODY_MAX, RECORD_OVERHEAD_BYTES, Frame

DONE, PING = encode(Done(round=1)), encode(Ping(nonce=1))
BODY = bytes(FRAME_BODY_MAX)


def drained(queue):
    return list(iter(queue.pop, None))


def test_liveness_overtakes_control_and_control_overtakes_bulk():
    queue = SendQueue(10_000)
    queue.push_bulk(1, iter([b"piece"]))
    queue.push(DONE)
    last = [encode(Pong(nonce=2)), PING, encode(Close(code=0))]
    for frame in last:
        queue.push(frame)
    assert drained(queue) == [*last, DONE, Frame(CHUNK, 0, 1, b"piece")]


def test_transfers_take_turns_and_a_transfers_requests_stay_in_order():
    queue = SendQueue(10_000)
    queue.push_bulk(1, iter([b"a", b"b"]))
    queue.push_bulk(2, iter([b"x", b"y", b"z"]))
    queue.push_bulk(1, iter([b"c"]))
    assert [(frame.id, frame.body) for frame in drained(queue)] == [
        (1, b"a"), (2, b"x"), (1, b"b"), (2, b"y"), (1, b"c"), (2, b"z"),
    ]  # fmt: skip


def test_a_piece_is_not_made_before_its_turn():
    made = []
    queue = SendQueue(10_000)
    queue.push_bulk(1, (made.append(number) or b"piece" for number in range(9)))
    assert made == []
    queue.pop()
    assert made == [0]


def test_bulk_keeps_about_a_tenth_under_endless_control():
    queue = SendQueue(100 * FRAME_BODY_MAX)
    queue.push_bulk(1, iter([BODY] * 99))
    sent = []
    for _ in range(100):
        queue.push(Frame(DONE.type, 0, 0, BODY))
        sent.append(queue.pop().type)
    assert sent.count(CHUNK) == 10
    assert sent[:9] == [DONE.type] * 9


def test_control_that_had_no_bulk_beside_it_owes_bulk_nothing():
    queue = SendQueue(100 * FRAME_BODY_MAX)
    for _ in range(50):
        queue.push(Frame(DONE.type, 0, 0, BODY))
        queue.pop()
    queue.push_bulk(1, iter([BODY]))
    queue.push(DONE)
    assert [frame.type for frame in drained(queue)] == [DONE.type, CHUNK]


def test_an_exhausted_request_does_not_hide_control():
    queue = SendQueue(100 * FRAME_BODY_MAX)
    queue.push_bulk(1, iter([]))
    for _ in range(12):
        queue.push(Frame(DONE.type, 0, 0, BODY))
    assert len(drained(queue)) == 12


def test_a_cancelled_transfer_sends_nothing_more_and_others_go_on():
    queue = SendQueue(10_000)
    queue.push_bulk(1, iter([b"a", b"b"]))
    queue.push_bulk(2, iter([b"x", b"y"]))
    queue.pop()
    queue.cancel_bulk(1)
    queue.cancel_bulk(7)
    assert [frame.id for frame in drained(queue)] == [2, 2]


def test_control_up_to_the_bound_waits_and_one_byte_more_does_not():
    size = RECORD_OVERHEAD_BYTES + len(DONE.body)
    queue = SendQueue(3 * size)
    for _ in range(3):
        queue.push(DONE)
    with pytest.raises(QueueOverflow, match=f"limit is {3 * size}"):
        queue.push(PING)


def test_what_was_sent_makes_room_again():
    queue = SendQueue(2 * (RECORD_OVERHEAD_BYTES + len(DONE.body)))
    for _ in range(50):
        queue.push(DONE)
        queue.push(DONE)
        assert len(drained(queue)) == 2


def test_requests_for_chunks_are_bounded_and_served_or_cancelled_ones_make_room():
    queue = SendQueue(10_000, requests_max=8)
    for number in range(8):
        queue.push_bulk(number % 2, iter([]))
    with pytest.raises(TooManyRequests):
        queue.push_bulk(0, iter([]))
    queue.cancel_bulk(1)
    assert queue.pop() is None
    for number in range(8):
        queue.push_bulk(number, iter([]))
    with pytest.raises(TooManyRequests):
        queue.push_bulk(0, iter([]))


def test_the_final_frame_is_the_last_and_bulk_is_forgotten():
    queue = SendQueue(100)
    queue.push(DONE)
    queue.push_bulk(1, iter([b"piece"]))
    final = encode(Close(code=2, text="x" * 100))
    queue.finish(final)
    queue.push_bulk(1, iter([]))
    assert drained(queue) == [DONE, final]


@given(
    pushes=st.lists(
        st.tuples(st.sampled_from("lcb"), st.integers(0, 3), st.integers(0, 5000)), max_size=40
    )
)
def test_every_frame_is_sent_exactly_once_and_in_order_within_its_kind(pushes):
    queue = SendQueue(2**30)
    sent = {}
    for number, (kind, transfer, size) in enumerate(pushes):
        body = number.to_bytes(2, "big") + bytes(size)
        if kind == "b":
            queue.push_bulk(transfer, iter([body]))
            sent.setdefault((CHUNK, transfer), []).append(body)
        else:
            code = PING.type if kind == "l" else DONE.type
            queue.push(Frame(code, 0, 0, body))
            sent.setdefault((code, 0), []).append(body)
    popped = {}
    for frame in drained(queue):
        popped.setdefault((frame.type, frame.id), []).append(frame.body)
    assert popped == sent
