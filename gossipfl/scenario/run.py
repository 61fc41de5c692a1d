"""One scenario from its file to its report: plan, run, collect, measure, write.

    spec -> plan -> engine (processes) -> outcomes -> judged against the alone twin -> report.json, metrics.jsonl

This is what `gossipfl scenario run` calls, and what a tool or a test calls from Python.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gossipfl.scenario import alone, plan, processes, report
from gossipfl.scenario.collect import collect
from gossipfl.scenario.progress import View
from gossipfl.scenario.spec import Scenario


def run(
    spec: Scenario,
    out: Path,
    seed: int | None = None,
    view: View | None = None,
    on_poll: processes.OnPoll | None = None,
) -> dict[str, Any]:
    """Run `spec` in the new directory `out` and return the report that is written there (DESIGN.md, section 8).

    `on_poll(peers)` is called ten times a second with every peer's process and rounds, and may kill one by its pid.
    Raises UserError, with nothing written, for what cannot be run; KeyboardInterrupt, with nothing left running.
    """
    began = time.monotonic()
    view = view or View()
    with _ports(spec) as ports:
        planned = plan.make(spec, seed, ports)
        alone.check_data(planned)
        processes.prepare(planned, out)
        launched_at = time.time()
        running = processes.execute(planned, out, view.show, on_poll)
    view.say("measuring final models, and what each peer reaches alone")
    outcomes = collect(running, spec.scenario.rounds)
    judged = alone.judge(planned, outcomes)
    times = report.Times(launched_at=launched_at, wall_s=time.monotonic() - began, ready_s=_ready_s(running))
    found = report.build(planned, outcomes, judged, times)
    report.write(found, outcomes, launched_at, out)
    return found


def _ready_s(running: list[processes.Running]) -> float | None:
    """Seconds from launch until the last peer listened; None if one never did."""
    ready = [peer.ready_s for peer in running]
    return None if None in ready else max(seconds for seconds in ready if seconds is not None)


@contextmanager
def _ports(spec: Scenario) -> Iterator[list[int]]:
    """A free port for every peer where addresses are to be known beforehand, held until the run is over.

    A bound socket that does not listen keeps others away; a daemon, whose socket also has SO_REUSEADDR, may listen.
    """
    with ExitStack() as held:
        count = spec.peers.count if spec.network.discovery == "addresses" else 0
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((plan.LOOPBACK, 0))
        yield [one.getsockname()[1] for one in sockets]
