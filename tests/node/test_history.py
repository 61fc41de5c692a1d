"""What a node writes about a finished round: counters that outlive links and boots, and who was heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gossipfl.identity import Identity
from gossipfl.node.history import History
from gossipfl.node.twin import Comparison
from gossipfl.node.verdicts import Verdict, unpack
from gossipfl.node.worker import Outcome
from gossipfl.protocol.events import Contribution, Mix, Mixed, Update
from gossipfl.wire.manifest import Manifest

ALICE, BOB, CAROL, DAVE = sorted(Identity.from_seed(bytes([n]) * 32).peer_id for n in (1, 2, 3, 4))
AN_UPDATE = Update(
    Manifest(
        federation=bytes(32), kind="delta", round=1, sequence=1, base=bytes(32), state=bytes(32), codec="float32",
        size=4, root=bytes(32), spec=bytes(32), examples=1, degree=1, created_ms=0,
    ),
    memoryview(b"1234"),
)  # fmt: skip


@dataclass
class Counters:
    """All that a history wants to know of a link."""

    bytes_sent: int = 100
    control_bytes_sent: int = 10
    bytes_received: int = 70


def a_mix(heard=(), silent=(), late=(), stale=()):
    contributions = [Contribution(peer, (AN_UPDATE,), 0.25, 0) for peer in heard]
    contributions += [Contribution(peer, (), 0.25, 1) for peer in silent]
    return Mix(1, tuple(contributions), 3, len(heard), tuple(late), tuple(stale), busy_s=0.5, wait_s=0.25)


def an_outcome(refused=(), **changes):
    verdicts = tuple(Verdict(peer, None, 0.0, "screened", "too far") for peer in refused)
    return Outcome(Mixed(1, 0.125), None, 1.5, verdicts, None, np.zeros(4, np.float32).tobytes(), **changes)


def test_a_row_names_who_was_heard_who_was_late_and_who_was_refused():
    effect = a_mix(heard=[DAVE, ALICE], silent=[BOB], late=[BOB], stale=[CAROL])
    row = History(None).round_row(effect, an_outcome(refused=[DAVE]), [], now=5.0)
    assert row.heard_from == ALICE + DAVE, "whoever sent nothing in this round was not heard, though its model counts"
    assert row.late_from == BOB
    assert row.refused_from == b"".join(sorted([CAROL, DAVE]))
    assert (row.expected, row.heard, row.late, row.refused) == (3, 2, 1, 2)


def test_rounds_in_which_nothing_was_mixed_are_counted_with_the_newest_reason():
    history = History(None)
    history.round_row(a_mix(), an_outcome(told=("! not mixed: krum needs 5 models",)), [], now=5.0)
    assert (history.unmixed, history.unmixed_because) == (1, "krum needs 5 models")
    history.round_row(a_mix(), an_outcome(), [], now=6.0)
    assert (history.unmixed, history.unmixed_because) == (1, None)


def test_bytes_go_on_from_the_last_round_of_an_earlier_boot():
    history, link = History(None), Counters()
    first = history.round_row(a_mix(), an_outcome(), [link], now=5.0)
    history.closed(link)
    second = history.round_row(a_mix(), an_outcome(), [Counters(), Counters()], now=6.0)
    after_reboot = History(second).round_row(a_mix(), an_outcome(), [Counters()], now=7.0)
    assert [row.bytes_sent for row in (first, second, after_reboot)] == [100, 300, 400]
    assert [row.control_bytes_sent for row in (first, second, after_reboot)] == [10, 30, 40]
    assert history.bytes_received([]) == 70


def test_a_row_keeps_the_verdicts_and_what_my_twin_says():
    history = History(None)
    compared = Comparison(1, mine=0.5, alone=0.75, examples=20, wins=2, is_alarm=False)
    row = history.round_row(a_mix(), an_outcome([DAVE], compared=compared), [], now=5.0)
    assert [(one.peer, one.standing, one.cause) for one in unpack(row.verdicts)] == [(DAVE, "refused", "screened")]
    assert (row.gain, row.isolated) == (-0.25, 0)
    assert history.verdicts == {"kept": 0, "clipped": 0, "refused": 1}
    assert history.judged[DAVE].reason == "too far"


def test_only_an_alarm_makes_the_log_speak_of_the_twin():
    history = History(None)
    quiet, loud = (Comparison(1, 0.5, 0.9, 20, wins, wins == 5) for wins in (4, 5))
    for compared, is_isolated in ((quiet, False), (loud, False), (loud, True)):
        outcome = an_outcome(compared=compared, is_isolated=is_isolated)
        history.round_row(a_mix(), outcome, [], now=5.0)
        said = [line for line in history.told(a_mix(), outcome) if "harm" in line]
        assert len(said) == compared.is_alarm
        assert all(("isolated" in line) == is_isolated for line in said)
        assert any("went through" in line for line in history.told(a_mix(), outcome)) == is_isolated
