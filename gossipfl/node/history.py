"""What a node remembers of itself while it runs: counters over links that are gone, rounds, lateness.

Decides what a row of the round history says.  Where rows are kept is store.py's business, what a person sees view.py's.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from gossipfl.identity import PeerId
from gossipfl.node.store import RoundRow
from gossipfl.node.twin import Comparison, told_of
from gossipfl.node.verdicts import STANDINGS, Telling, Verdict, pack
from gossipfl.node.worker import Outcome
from gossipfl.protocol.events import Mix

_LAGS = 4096                         # newest measurements of lateness kept
_ROUNDS = 120                        # newest accuracies kept for the screen
_ONCE_MAX = 1024
_JUDGED_MAX = 1024                   # peers whose newest verdict is shown


class Counted(Protocol):
    """The part of a link that counts: all bytes of it so far, encryption included."""

    @property
    def bytes_sent(self) -> int: ...

    @property
    def control_bytes_sent(self) -> int: ...

    @property
    def bytes_received(self) -> int: ...


class History:
    """Counters of one node, from its first boot on: `last` is the last round of an earlier one."""

    def __init__(self, last: RoundRow | None) -> None:
        self._sent_before = last.bytes_sent if last is not None else 0
        self._control_before = last.control_bytes_sent if last is not None else 0
        self._received_closed = self._sent_closed = self._control_closed = 0
        self.last = last
        self.accuracies: deque[float | None] = deque(maxlen=_ROUNDS)
        self.unmixed = 0                                 # rounds in which the model stayed my own
        self.unmixed_because: str | None = None          # the reason in the newest round, None if that was mixed
        self.judged: dict[PeerId, Verdict] = {}          # the newest on each peer, the newest at the end
        self.verdicts = dict.fromkeys(STANDINGS, 0)      # passed so far, by kind
        self.compared: Comparison | None = None          # the newest, with my twin
        self.is_isolated = False
        self._telling = Telling()
        self.updates = {"expected": 0, "heard": 0, "late": 0, "refused": 0}
        self._lags: deque[float] = deque(maxlen=_LAGS)
        self._once: OrderedDict[str, None] = OrderedDict()

    def closed(self, link: Counted) -> None:
        """A link is gone; its bytes still count."""
        self._sent_closed += link.bytes_sent
        self._control_closed += link.control_bytes_sent
        self._received_closed += link.bytes_received

    def bytes_sent(self, links: Iterable[Counted]) -> int:
        return self._sent_before + self._sent_closed + sum(link.bytes_sent for link in links)

    def control_bytes_sent(self, links: Iterable[Counted]) -> int:
        return self._control_before + self._control_closed + sum(link.control_bytes_sent for link in links)

    def bytes_received(self, links: Iterable[Counted]) -> int:
        return self._received_closed + sum(link.bytes_received for link in links)

    def round_row(self, effect: Mix, outcome: Outcome, links: Sequence[Counted], now: float) -> RoundRow:
        """The finished round as the store keeps it."""
        metrics = outcome.metrics
        row = RoundRow(
            round=effect.round, time_s=now,
            accuracy=metrics.accuracy if metrics is not None else None,
            loss=metrics.loss if metrics is not None else None,
            train_loss=outcome.train_loss, expected=effect.expected, heard=effect.heard, late=len(effect.late),
            refused=len(outcome.refused) + len(effect.stale), bytes_sent=self.bytes_sent(links),
            control_bytes_sent=self.control_bytes_sent(links), rss_mb=resident_mb(),
            busy_s=effect.busy_s + outcome.mixed.busy_s, wait_s=effect.wait_s, distance=outcome.distance,
            sketch=outcome.sketch, heard_from=_joined(one.peer for one in effect.contributions if one.updates),
            late_from=_joined(effect.late), refused_from=_joined([*outcome.refused, *effect.stale]),
            verdicts=pack(outcome.verdicts), gain=outcome.compared.gain if outcome.compared is not None else None,
            isolated=int(outcome.is_isolated),
        )  # fmt: skip
        self.last = row
        self.unmixed += bool(outcome.told)
        self.unmixed_because = outcome.told[-1].removeprefix("! not mixed: ") if outcome.told else None
        self._judge(outcome)
        self.accuracies.append(row.accuracy)
        for name in self.updates:
            self.updates[name] += getattr(row, name)
        return row

    def _judge(self, outcome: Outcome) -> None:
        """Remember the newest verdict on each peer, how often which was passed, and the newest look at the twin."""
        for one in outcome.verdicts:
            self.judged.pop(one.peer, None)
            self.judged[one.peer] = one
            self.verdicts[one.standing] += 1
        while len(self.judged) > _JUDGED_MAX:
            del self.judged[next(iter(self.judged))]
        self.compared = outcome.compared or self.compared
        self.is_isolated = outcome.is_isolated

    def told(self, effect: Mix, outcome: Outcome) -> list[str]:
        """The lines that the log gets for a finished round."""
        last = self.last
        assert last is not None
        accuracy = f" accuracy={last.accuracy:.4f}" if last.accuracy is not None else ""
        late = f" late={','.join(peer.short for peer in effect.late)}" if effect.late else ""
        is_alone = outcome.told or outcome.is_isolated
        kind = "went through" if is_alone else "caught up at" if effect.catching_up else "mixed"
        return [
            *outcome.told,
            *(f"! {peer.short} left out: {reason}" for peer, reason in sorted(outcome.refused.items())),
            *([] if effect.catching_up else self._telling.lines(effect.round, outcome.verdicts)),
            *(told_of(outcome.compared, outcome.is_isolated) if outcome.compared is not None else ()),
            *(f"! {peer.short} left out: nothing new for too many rounds" for peer in effect.stale),
            f"= {kind} round {effect.round}: {effect.heard} of {effect.expected} heard,{accuracy}{late} "
            f"busy={last.busy_s:.3f}s wait={last.wait_s:.3f}s",
        ]

    def lag(self, lag_s: float) -> None:
        self._lags.append(max(0.0, lag_s))

    def lag_ms(self) -> dict[str, float]:
        """Lateness of the event loop: median, 99th percentile and maximum of the newest measurements."""
        ranked = sorted(self._lags) or [0.0]
        at = {"p50": len(ranked) // 2, "p99": min(int(len(ranked) * 0.99), len(ranked) - 1), "max": len(ranked) - 1}
        return {name: ranked[place] * 1e3 for name, place in at.items()}

    def first_time(self, text: str) -> bool:
        """Has this not been said before?  The memory is bounded; what was said long ago is said again."""
        if text in self._once:
            return False
        self._once[text] = None
        if len(self._once) > _ONCE_MAX:
            self._once.popitem(last=False)
        return True


def _joined(peers: Iterable[PeerId]) -> bytes:
    return b"".join(sorted(set(peers)))


def resident_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes); 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * 4096 / 1e6
