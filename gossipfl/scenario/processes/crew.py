"""All peers of a run and what the scenario does to them: started, killed, paused, started again, cut apart.

Decides how a fault is carried out on real processes, and when nobody is to be waited for any more.  When a fault comes
is decided in faults.py; how a process is started or stopped in launch.py and running.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gossipfl.scenario.directories import directory_of
from gossipfl.scenario.faults import HAD_ENDED, Fault, Faults, rounds_finished
from gossipfl.scenario.outcome import Happening
from gossipfl.scenario.plan import Peer, Plan
from gossipfl.scenario.processes.launch import launch
from gossipfl.scenario.processes.relay import Relay
from gossipfl.scenario.processes.running import Running
from gossipfl.scenario.progress import View

_DONE_TO = {"kill": "killed by the scenario", "leave": "asked to leave by the scenario"}


class Crew:
    """The peers of one run.  Use `poll` in a loop until it says that all is over."""

    def __init__(
        self, plan: Plan, out: Path, faults: Faults, relay: Relay | None, view: View, lifeline: int
    ) -> None:
        """relay: there if the plan has cuts; lifeline: what launch.py made, all peers hang on it."""
        self.peers: list[Running] = []                  # launched so far, in that order
        self.happenings: list[Happening] = []
        self.round = 0                                  # finished by half of the running honest peers
        self.ready_s: float | None = None               # all that are there from the beginning listen
        self._plan, self._out, self._faults, self._relay, self._view = plan, out, faults, relay, view
        self._lifeline = lifeline
        self._waiting = [peer for peer in plan.peers if peer.number not in faults.absent]
        self._reviving: list[Running] = []              # asked to leave, not gone yet, to be started again
        self._faults_from_s: float | None = None        # since launch: from here the scenario's seconds count
        self._passed_before: dict[Fault, list[int]] = {}        # bytes on the paths of cuts when they began

    @property
    def is_over(self) -> bool:
        """Nobody runs, and nobody will: a round that brings a peer never comes if nobody is left to finish it."""
        someone_runs = any(peer.is_running for peer in self.peers)
        return not (someone_runs or self._waiting or self._reviving or self._faults.someone_comes)

    @property
    def watches_rounds(self) -> bool:
        """May the next fault depend on a round, so that rounds have to be known at once?"""
        return not self._faults.are_over and self._faults_from_s is not None

    def poll(self, elapsed_s: float) -> None:
        """Look at all peers, launch those whose turn it is, and do what is due."""
        self._launch()
        for peer in self.peers:
            peer.look(elapsed_s)
        self._revive()
        if self._faults_from_s is None:
            self._faults_from_s = elapsed_s if self._all_started() else None
        if self._faults_from_s is None:
            return
        self.round = max(self.round, rounds_finished(self.peers))
        for fault in self._faults.due(elapsed_s - self._faults_from_s, self.round):
            self._carry_out(fault, elapsed_s)

    def give_up(self) -> None:
        """Nobody is launched any more."""
        self._waiting.clear()
        self._reviving.clear()

    def end(self, elapsed_s: float) -> None:
        """All is over: tell what never came."""
        for fault in self._faults.left():
            self._tell(fault.never(elapsed_s, self.round))

    # ----------------------------------------------------------------------------------------------- starting

    def _launch(self) -> None:
        """Start the next peers, but no more of them at a time than the cores can start.

        Started all at once, each would compile the same program.  In turns, the first one's results lie in the compile
        cache when the others look for them, and no core is idle meanwhile.
        """
        starting = sum(peer.is_running and not peer.is_listening for peer in self.peers)
        starters_max = (os.cpu_count() or 1) + 1
        for _ in range(min(len(self._waiting), starters_max - starting)):
            self._start(self._waiting.pop(0))

    def _start(self, peer: Peer) -> None:
        process = launch(self._plan, peer, self._out, os.environ, self._lifeline)
        self.peers.append(Running(peer, directory_of(self._out, peer), process))

    def _revive(self) -> None:
        """Start again whoever has ended by now: two lives at a time cannot hold one state directory."""
        for running in [running for running in self._reviving if not running.is_running]:
            self._reviving.remove(running)
            running.revive(launch(self._plan, running.peer, self._out, os.environ, self._lifeline))

    def _all_started(self) -> bool:
        """Does everybody who is there from the beginning listen, or has ended before?"""
        if self._waiting or any(peer.is_running and not peer.is_listening for peer in self.peers):
            return False
        first = [peer.ready_s for peer in self.peers]
        self.ready_s = max((ready for ready in first if ready is not None), default=None) if None not in first else None
        return True

    # ------------------------------------------------------------------------------------------------- faults

    def _carry_out(self, fault: Fault, elapsed_s: float) -> None:
        if fault.kind in ("cut", "heal"):
            note = self._change_paths(fault)
        else:
            note = "".join(self._befall(fault, number) for number in fault.peers)
        self._tell(fault.told(elapsed_s, self.round, note))

    def _befall(self, fault: Fault, number: int) -> str:
        """Do it to one peer.  Returns what a reader has to know besides."""
        running = next((running for running in self.peers if running.peer.number == number), None)
        if running is None:
            self._start(self._plan.peers[number])
            return ""
        if fault.kind == "start":
            self._reviving.append(running)
            return ""
        if running.process.poll() is not None:
            return HAD_ENDED
        if fault.kind == "pause":
            running.pause()
        elif fault.kind == "resume":
            running.go_on()
        else:
            running.removed = _DONE_TO[fault.kind]
            running.kill() if fault.kind == "kill" else running.terminate()
        return ""

    def _change_paths(self, fault: Fault) -> str:
        """Cut or heal.  Returns, at the end of a cut, how much passed it."""
        assert self._relay is not None, "a plan with cuts is relayed"
        key = Fault(kind="cut", peers=fault.peers, groups=fault.groups, one_way=fault.one_way)
        if fault.kind == "cut":
            self._relay.cut(fault.pairs)
            self._passed_before.setdefault(key, []).append(self._passed(fault))
            return ""
        passed = self._passed(fault) - self._passed_before[key].pop()
        self._relay.heal(fault.pairs)
        return f"; {passed} bytes passed it"

    def _passed(self, fault: Fault) -> int:
        assert self._relay is not None
        passed = self._relay.passed_bytes()
        return sum(passed.get(pair, 0) for pair in fault.pairs)

    def _tell(self, happening: Happening) -> None:
        self.happenings.append(happening)
        self._view.say(f"{happening.time_s:5.1f} s  {happening.text}")


def for_good(peers: Sequence[Running], faults: Faults) -> set[int]:
    """Peers that the scenario took away and was never to bring back."""
    return {running.peer.number for running in peers if running.removed} - faults.joiners
