"""What a person sees while a scenario runs: a table on a terminal, a line every few seconds elsewhere.

Seconds of waiting are the person's, whatever clock the engine has; simulated time is told as such.  Everything goes to
standard error; standard output is for the result.  What the figures amount to is in report.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING

from gossipfl.scenario.outcome import Seen
from gossipfl.scenario.spec import Scenario

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

FIRST_LINE_S = 2.0                   # of waiting, before anything is shown; a run that ends sooner needs no line
LINE_EVERY_S = 3.0
_WELL = ("done", "to come")          # not running, and nothing to tell


class View:
    """Shows nothing; the others derive from it."""

    def show(self, peers: Sequence[Seen], elapsed_s: float) -> None:
        """What is known of every peer, twice a second; `elapsed_s` is the engine's time since launch."""

    def say(self, sentence: str) -> None:
        """What happens besides."""


class Lines(View):
    """One line every few seconds, and one for each peer that is lost."""

    def __init__(self, spec: Scenario, clock: Callable[[], float] = time.monotonic) -> None:
        self._spec, self._clock = spec, clock
        self._began = clock()
        self._next = self._began + FIRST_LINE_S
        self._told: set[int] = set()

    def show(self, peers: Sequence[Seen], elapsed_s: float) -> None:
        for peer in peers:
            if not peer.is_running and peer.state not in _WELL and peer.peer.number not in self._told:
                self._told.add(peer.peer.number)
                self.say(f"peer {peer.peer.number:02d} {peer.state} in round {peer.round + 1}")
        now = self._clock()
        if now >= self._next:
            self._next = now + LINE_EVERY_S
            waited_s, simulated = elapsed_s, ""
            if self._spec.scenario.engine == "virtual":
                waited_s, simulated = now - self._began, f"simulated {elapsed_s:.1f} s, "
            self.say(f"{waited_s:5.1f} s  {simulated}{overall(peers, self._spec)}")

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)


class LiveTable(View):
    """A table on the terminal, drawn anew twice a second."""

    def __init__(self, spec: Scenario, live: Live) -> None:
        self._spec = spec
        self._live = live

    def show(self, peers: Sequence[Seen], elapsed_s: float) -> None:
        self._live.update(table(peers, self._spec, elapsed_s), refresh=True)

    def say(self, sentence: str) -> None:
        self._live.console.print(sentence, markup=False, highlight=False)


@contextmanager
def on_stderr(spec: Scenario) -> Iterator[View]:
    """The view that fits standard error."""
    if not sys.stderr.isatty():
        yield Lines(spec)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        yield LiveTable(spec, live)


def overall(peers: Sequence[Seen], spec: Scenario) -> str:
    """All peers in one line."""
    running = sum(peer.is_running for peer in peers)
    rounds = sorted(peer.round + 1 for peer in peers) or [0]
    honest = [accuracy for peer in peers if peer.peer.liar is None and (accuracy := newest(peer)) is not None]
    known = f", accuracy {fmean(honest):.3f}, worst {min(honest):.3f}" if honest else ""
    span = f"round {rounds[0]} to {rounds[-1]} of {spec.scenario.rounds}"
    return f"{running} of {spec.peers.count} running, {span}{known}"


def newest(peer: Seen) -> float | None:
    """The last accuracy that a peer measured."""
    return next((row.accuracy for row in reversed(peer.rows) if row.accuracy is not None), None)


def table(peers: Sequence[Seen], spec: Scenario, elapsed_s: float) -> Table:
    """A row per peer: where it is and whom it heard in all its rounds."""
    from rich.table import Table

    simulated = " simulated" if spec.scenario.engine == "virtual" else ""
    drawn = Table(
        "peer", "state", "round", "accuracy", "heard", "late", "refused",
        title=f"{spec.scenario.name}, {elapsed_s:.0f} s{simulated}", caption=overall(peers, spec), box=None,
        title_justify="left", caption_justify="left", min_width=76,
    )  # fmt: skip
    for peer in peers:
        accuracy = newest(peer)
        drawn.add_row(
            f"{peer.peer.number:02d}" + ("" if peer.peer.liar is None else f" {peer.peer.liar.attack}"),
            peer.state,
            f"{peer.round + 1}/{spec.scenario.rounds}",
            "-" if accuracy is None else f"{accuracy:.3f}",
            *(str(sum(getattr(row, name) for row in peer.rows)) for name in ("heard", "late", "refused")),
        )
    return drawn
