"""The engine "processes": real daemons with real keys, sockets and mDNS, one process per peer, on this machine.

Decides how a run is watched and that it ends, however it ends.  There is no server in what the daemons do: this engine
reads only the files that every peer writes for itself, and a peer that fails is reported, never waited for in vain.

    plan -> detour.py (addresses) -> directories.py (files) -> crew.py (launch, faults) -> collect.py (outcomes)
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gossipfl.scenario.directories import prepare
from gossipfl.scenario.faults import Faults
from gossipfl.scenario.outcome import Ran
from gossipfl.scenario.plan import Plan, starting_without
from gossipfl.scenario.processes.collect import collect
from gossipfl.scenario.processes.crew import Crew, for_good
from gossipfl.scenario.processes.detour import through_relay
from gossipfl.scenario.processes.launch import lifeline
from gossipfl.scenario.processes.running import Running, stop
from gossipfl.scenario.progress import View

POLL_S = 0.1                    # between two looks at the processes
READ_S = 0.5                    # between two readings of their files, where nothing depends on them
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

OnPoll = Callable[[Sequence[Running]], None]


def run(plan: Plan, out: Path, view: View, on_poll: OnPoll | None = None) -> Ran:
    """Run all peers of `plan` in the new directory `out` until they end or the scenario's time is up.

    `view` is shown twice a second what is known; `on_poll(peers)` is called ten times a second, with fresh rounds, and
    may kill.  However this ends, kill -9 included, no peer is left running.  Raises StateError if `out` holds
    anything, KeyboardInterrupt when signalled.
    """
    faults = Faults(plan)
    with through_relay(starting_without(plan, faults.absent)) as (plan, relay), lifeline() as held:
        prepare(plan, out)
        crew = Crew(plan, out, faults, relay, view, held)
        with _signals_held() as signalled, _ending(crew):
            launched_at, started = time.time(), time.monotonic()
            watch = _Watch(crew, view, on_poll)
            while not crew.is_over:
                elapsed_s = time.monotonic() - started
                crew.poll(elapsed_s)
                watch.look(elapsed_s)
                if relay is not None:
                    relay.check()
                if elapsed_s > plan.spec.scenario.timeout_s:
                    _time_is_up(crew, plan)
                    break
                if signalled():
                    raise KeyboardInterrupt
                time.sleep(POLL_S)
            watch.finish(time.monotonic() - started)
        return Ran(
            outcomes=collect(plan, out, crew.peers, for_good(crew.peers, faults)),
            happenings=crew.happenings, launched_at=launched_at, ready_s=crew.ready_s,
        )  # fmt: skip


class _Watch:
    """Reads what peers write, as often as somebody needs it."""

    def __init__(self, crew: Crew, view: View, on_poll: OnPoll | None) -> None:
        self._crew, self._view, self._on_poll = crew, view, on_poll
        self._next_view_s = 0.0

    def look(self, elapsed_s: float) -> None:
        shows = elapsed_s >= self._next_view_s
        if shows or self._on_poll is not None or self._crew.watches_rounds:
            for peer in self._crew.peers:
                peer.read()
        if self._on_poll is not None:
            self._on_poll(self._crew.peers)
        if shows:
            self._next_view_s = elapsed_s + READ_S
            self._view.show(self._crew.peers, elapsed_s)

    def finish(self, elapsed_s: float) -> None:
        """The last rounds of all, and what never happened."""
        for peer in self._crew.peers:
            peer.read_again()
        self._view.show(self._crew.peers, elapsed_s)
        self._crew.end(elapsed_s)


def _time_is_up(crew: Crew, plan: Plan) -> None:
    crew.give_up()
    stop(crew.peers, f"stopped after {plan.spec.scenario.timeout_s:g} s, the scenario's timeout_s")


@contextmanager
def _ending(crew: Crew) -> Iterator[None]:
    try:
        yield
    finally:
        stop(crew.peers, "stopped with the run")


@contextmanager
def _signals_held() -> Iterator[Callable[[], bool]]:
    """Turn signals that would end this process into an answer to the question whether one came.

    An exception in the middle of a launch could lose a child's pid.  Other threads get no signals and need no care.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came = threading.Event()
    before = {number: signal.signal(number, lambda *_: came.set()) for number in _ENDING_SIGNALS}
    try:
        yield came.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
