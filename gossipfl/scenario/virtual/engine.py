"""From a plan to outcomes: all peers of a scenario on simulated machines.

Decides how a scenario's numbers become machines, when a fault is carried out, and when the run is over.  Who the peers
are is plan.py, when what goes wrong faults.py, what came of it report/: the same for every engine.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gossipfl.learning.data import Shard
from gossipfl.learning.learner import Learner
from gossipfl.node import checkpoint
from gossipfl.node.store import RoundRow
from gossipfl.node.twin import Twin, divide, own_part
from gossipfl.node.worker import Worker
from gossipfl.protocol.peer import Peer as Protocol
from gossipfl.protocol.setup import Setup
from gossipfl.scenario.conditions import conditions_of
from gossipfl.scenario.directories import LOG_FILE, directory_of, prepare
from gossipfl.scenario.faults import HAD_ENDED, Fault, Faults, rounds_finished
from gossipfl.scenario.learners import honest_learner, prepare_jax, shards_of
from gossipfl.scenario.outcome import Happening, Outcome, Ran
from gossipfl.scenario.plan import Peer, Plan, attack_of, speed_of, starting_without
from gossipfl.scenario.progress import View
from gossipfl.scenario.virtual.agenda import START_S
from gossipfl.scenario.virtual.machine import Machine, Make
from gossipfl.scenario.virtual.network import Network
from gossipfl.scenario.virtual.overview import Overview
from gossipfl.scenario.virtual.toy import Echo

SHOW_S = 0.5                                    # of real time, between two looks at the run
_START_S = 0.1                                  # machines are switched on within this
TRAIN_S = 0.1                                   # the local steps of a round, where the scenario does not say
_LAST = 1.25                                    # who makes up models trains so much longer, to see those of the others


@dataclass(slots=True)
class Simulated:
    """One peer while it runs, for the progress view."""

    peer: Peer
    machine: Machine
    rows: list[RoundRow] = field(default_factory=list)

    @property
    def round(self) -> int:
        return self.rows[-1].round if self.rows else -1

    @property
    def is_running(self) -> bool:
        return self.machine.is_running

    @property
    def state(self) -> str:
        """One word."""
        if self.machine.is_running:
            return "paused" if self.machine.is_paused else "running"
        return "done" if self.machine.finished else "gone" if self.machine.boots else "to come"


def run(plan: Plan, out: Path, view: View, threads: int | None = None) -> Ran:
    """Run `plan` in the new directory `out`.  `threads`: how many learners work at a time, by default one per core.

    The result does not depend on it.  Raises StateError if `out` holds anything.
    """
    plan = starting_without(plan, Faults(plan).absent)
    prepare(plan, out)
    overview = Overview(plan)
    with _pool(threads if threads is not None else os.cpu_count() or 1) as pool:
        simulation = Simulation(plan, learners_of(plan, overview), pool, twins=twins_of(plan))
        overview.open([one.machine for one in simulation.peers])
        simulation.run(view)
    simulation.write(out)
    return simulation.ran()


class Simulation:
    """A run under way: the network, its machines, the faults that are still to come."""

    def __init__(
        self, plan: Plan, learners: Sequence[Callable[[], Learner]], pool: Executor | None, *,
        protocol_only: bool = False, twins: Mapping[int, Callable[[], Twin]] | None = None,
    ) -> None:  # fmt: skip
        """`learners` build what each peer trains, at each of its starts, `twins` what some have beside it.

        protocol_only: nothing is computed with their numbers, and there are neither rows nor lines.
        """
        self._protocol_only, self._twins = protocol_only, twins or {}
        self.plan = plan
        self.network = Network(plan.seed, conditions_of(plan.spec.network))
        self.faults = Faults(plan)
        self.happenings: list[Happening] = []
        self.on_happening: Callable[[Happening], None] | None = None
        self.peers = [Simulated(peer, self._machine(peer, learner, pool)) for peer, learner in zip(
            plan.peers, learners, strict=True)]                                                          # fmt: skip
        self._to_start = 0                               # machines that are about to be switched on
        self._round = 0                                  # finished by half of the running honest peers
        self._gone: dict[int, str] = {}                  # peers that a fault ended for good so far -> how
        self._begin()

    def _machine(self, peer: Peer, learner: Callable[[], Learner], pool: Executor | None) -> Machine:
        spec, number = self.plan.spec.peers, peer.number
        dice = random.Random(f"gossipfl/1/clock/{self.plan.seed}/{number}")
        made: list[Machine] = []
        attack = attack_of(peer)
        looks = attack is not None and attack.sees       # at a moment of virtual time, so not in a pool
        make = Make(
            identity=peer.identity, federation=self.plan.federation, options=peer.node,
            learner=learner, peer=self._peer_maker(peer, made),
            train_s=(spec.train_s or TRAIN_S) * (_LAST if looks else 1.0) / speed_of(self.plan.spec, number),
            clock_offset_s=spec.clock_skew_s * dice.uniform(-1, 1), pool=None if looks else pool,
            keeps_history=not self._protocol_only,
            worker=Echo if self._protocol_only else Worker, twin=self._twins.get(number),
        )  # fmt: skip
        machine = Machine(self.network, host_of(number), make)
        machine.on_mixed = self._mixed
        self.network.add(machine)
        made.append(machine)
        return machine

    def _peer_maker(self, peer: Peer, made: list[Machine]) -> Callable[[Setup, float], Protocol]:
        """A liar of the wire is a changed protocol machine, and may leave connections half open."""
        attack = attack_of(peer)
        if attack is None:
            return Protocol
        return lambda setup, now: attack.peer(setup, now, lambda host: self.network.knock(made[0], host))

    # ------------------------------------------------------------------------------------------------- time

    def _begin(self) -> None:
        for one in self.peers:
            if one.peer.number not in self.faults.absent:
                self._to_start += 1
                self.network.agenda.after(_START_S * self.network.dice.random(), self._first_start, one)
        self._schedule_faults()

    def _first_start(self, one: Simulated) -> None:
        self._to_start -= 1
        self.switch_on(one)

    def switch_on(self, one: Simulated) -> None:
        """Switch a machine on and let the others hear of it, as the scenario says that peers find each other."""
        machine = one.machine
        if machine.is_running:
            return
        machine.start()
        if self.plan.spec.network.discovery == "mdns":
            self.network.announce(machine)
            return
        for number in self._named(one.peer):
            machine.introduce(host_of(number), self.plan.peers[number].identity.peer_id)

    def _named(self, peer: Peer) -> Sequence[int]:
        """The peers whose addresses `peer` is told: its neighbors, or everybody where it chooses."""
        if self.plan.edges is not None:
            return peer.neighbors
        return [number for number in range(len(self.peers)) if number != peer.number]

    def run(self, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        """Until all is over or the scenario's time is up.

        clock: of the person who looks on.  It is asked after every event, because one may compute for seconds, and
        decides nothing but when `view` is shown.
        """
        agenda, end = self.network.agenda, START_S + self.plan.spec.scenario.timeout_s
        show_at = clock()
        while not self._is_over and agenda.next_at <= end:
            if clock() >= show_at:
                view.show(self.peers, agenda.now - START_S)
                show_at = clock() + SHOW_S
            agenda.step()
        view.show(self.peers, agenda.now - START_S)
        for fault in self.faults.left():
            self.happenings.append(fault.never(agenda.now - START_S, self._round))

    @property
    def _is_over(self) -> bool:
        """Nobody runs, and nobody will: a moment that is a round never comes when nobody is left to finish it."""
        return not self._to_start and not self.faults.someone_comes and not any(
            one.machine.is_running for one in self.peers
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------ faults

    def _mixed(self, machine: Machine) -> None:
        one = self.peers[machine.number]
        one.rows = _appended(one.rows, machine.history.last)
        finished = rounds_finished(self.peers)
        if finished > self._round:
            self._round = finished
            self._carry_out_due()

    def _schedule_faults(self) -> None:
        if self.faults.next_s < float("inf"):
            self.network.agenda.at(START_S + self.faults.next_s, self._carry_out_due, self.faults.next_s)

    def _carry_out_due(self, due_s: float = 0.0) -> None:
        # The agenda's time rounds to 0.2 us: a fault of exactly now must not be found too early, again and again.
        elapsed_s = max(self.network.agenda.now - START_S, due_s)
        for fault in self.faults.due(elapsed_s, self._round):
            note = self._carry_out(fault)
            self._note(fault.told(elapsed_s, self._round, note))
        self._schedule_faults()

    def _note(self, happening: Happening) -> None:
        self.happenings.append(happening)
        if self.on_happening is not None:
            self.on_happening(happening)

    def _carry_out(self, fault: Fault) -> str:
        """Do it.  Returns what a reader has to know besides."""
        if fault.kind == "cut":
            self.network.cut(fault.pairs)
        elif fault.kind == "heal":
            self.network.heal(fault.pairs)
        return "".join(self._befall(fault, number) for number in fault.peers) if not fault.groups else ""

    def _befall(self, fault: Fault, number: int) -> str:
        one, machine = self.peers[number], self.peers[number].machine
        if fault.kind in ("start", "join"):
            self.switch_on(one)
            self._gone.pop(number, None)
        elif not machine.is_running:
            return HAD_ENDED
        elif fault.kind == "pause":
            machine.pause()
        elif fault.kind == "resume":
            machine.resume()
        else:
            machine.crash() if fault.kind == "kill" else machine.leave()
            self._gone[number] = "killed" if fault.kind == "kill" else "asked to leave"
        return ""

    # ------------------------------------------------------------------------------------------- what is left

    def write(self, out: Path) -> None:
        """Every peer's log and final model, where a daemon would have left them."""
        for one in self.peers:
            directory = directory_of(out, one.peer)
            (directory / LOG_FILE).write_text("".join(f"{line}\n" for line in one.machine.lines), encoding="utf-8")
            if one.machine.disk.checkpoint is not None:
                checkpoint.save(directory / checkpoint.FILE, *one.machine.disk.checkpoint)

    def ran(self) -> Ran:
        """What came of it."""
        return Ran(
            outcomes=[self._outcome(one) for one in self.peers], happenings=self.happenings, launched_at=START_S,
            ready_s=_START_S,
        )  # fmt: skip

    def _outcome(self, one: Simulated) -> Outcome:
        saved, rounds = one.machine.disk.checkpoint, self.plan.spec.scenario.rounds
        missing = "" if one.machine.finished and one.round + 1 >= rounds else self._reason(one, rounds)
        return Outcome(
            peer=one.peer, rows=one.rows, vector=saved[0]["vector"] if saved is not None else None, exit_code=0,
            missing=missing, removed=bool(missing) and one.peer.number in self._gone,
            last_words=list(one.machine.lines)[-5:] if missing else (),
        )  # fmt: skip

    def _reason(self, one: Simulated, rounds: int) -> str:
        number = one.peer.number
        if not one.machine.boots:
            return "never joined"
        if number in self._gone:
            return f"{self._gone[number]} by the scenario, after {one.round + 1} of {rounds} rounds"
        limit = self.plan.spec.scenario.timeout_s
        return f"not done after {limit:g} s, the scenario's timeout_s, after {one.round + 1} of {rounds} rounds"


def learners_of(plan: Plan, overview: Overview | None = None) -> list[Callable[[], Learner]]:
    """How each peer's learner is built: as its daemon would, with its attack in between if it lies.

    overview: what liars see with; without one they see nobody.
    """
    prepare_jax(plan)
    pairs = zip(plan.peers, shards_of(plan, plan.peers), strict=True)
    return [partial(_learner, plan, overview, *pair) for pair in pairs]


def twins_of(plan: Plan) -> dict[int, Callable[[], Twin]]:
    """By the number of each peer that has one: how its twin is built, as its daemon would."""
    peers = [peer for peer in plan.honest if peer.node.aggregation.alone_every]
    shards = shards_of(plan, peers) if peers else []
    return {peer.number: partial(_twin, plan, peer, shard) for peer, shard in zip(peers, shards, strict=True)}


def _twin(plan: Plan, peer: Peer, shard: Shard) -> Twin:
    _, held_back = divide(shard, peer.identity.peer_id.stream)
    return Twin(honest_learner(plan, peer, held_back), peer.node.aggregation)


def host_of(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:4000"


def _learner(plan: Plan, overview: Overview | None, peer: Peer, shard: Shard) -> Learner:
    attack = attack_of(peer)
    if attack is None:
        stream = peer.identity.peer_id.stream
        return honest_learner(plan, peer, own_part(shard, stream, peer.node.aggregation))
    tampered = attack.shard(shard, plan.spec.model.classes)
    name = peer.identity.peer_id
    eyes = overview.eyes(name) if overview is not None else None
    return attack.learner(honest_learner(plan, peer, tampered), name.stream, eyes)


def _appended(rows: list[RoundRow], last: RoundRow | None) -> list[RoundRow]:
    """A restarted peer may do a round again: the newest row of a round counts."""
    if last is None:
        return rows
    while rows and rows[-1].round >= last.round:
        rows.pop()
    rows.append(last)
    return rows


@contextmanager
def _pool(threads: int) -> Iterator[Executor | None]:
    if threads < 2:
        yield None
        return
    with ThreadPoolExecutor(threads, "learning") as pool:
        yield pool
