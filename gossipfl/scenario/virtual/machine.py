"""One simulated machine: a process, which may crash and start again, around the real Peer and the real Worker.

    network, agenda, worker -> event -> Peer.handle -> effects -> network, agenda, worker, disk

The second shell beside node/node.py: the same effects, in virtual time.  Training is real and its duration modelled;
whoever runs where in a pool of threads changes nothing, because a machine's works follow one another.
"""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from gossipfl.codec.public_model import PublicModel
from gossipfl.config import NodeConfig
from gossipfl.federation import Federation
from gossipfl.identity import Identity, PeerId
from gossipfl.learning.learner import Learner
from gossipfl.node.history import History
from gossipfl.node.twin import Twin
from gossipfl.node.worker import Outcome, Worker, snapshot_of
from gossipfl.protocol import events as ev
from gossipfl.protocol.peer import Peer
from gossipfl.protocol.setup import Setup
from gossipfl.scenario.virtual.disk import Disk, Keeper
from gossipfl.scenario.virtual.network import Network
from gossipfl.scenario.virtual.toy import Echo
from gossipfl.scenario.virtual.wire import End
from gossipfl.scenario.virtual.works import Doorstep, Works
from gossipfl.wire.chunks import verify_chunk
from gossipfl.wire.messages import Close, Message, encode
from gossipfl.wire.records import Frame

HASH_BYTES_PER_S = 500e6                        # SHA-256 of one core
INLINE_HASH_BYTES = 128 * 1024                  # as in the daemon: less is hashed on the spot
MIX_SHARE = 0.1                                 # mixing takes so much of the time of a training; a guess
LINES_MAX = 10_000                              # of a machine's log
_WOBBLE = 0.1                                   # no two trainings take equally long: up to so much more or less
_SNAPSHOT_S = 0.001
_TICK_MIN_S = 0.001                             # as the daemon's timer: sooner, a due time that is not met would spin

MakePeer = Callable[[Setup, float], Peer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """What a machine is made of, beside its place in the network."""

    identity: Identity
    federation: Federation
    options: NodeConfig
    learner: Callable[[], Learner]              # built anew at every start
    peer: MakePeer = Peer
    worker: Callable[[Learner, Federation, NodeConfig], Worker | Echo] = Worker
    twin: Callable[[], Twin] | None = None      # that learns alone, built anew at every start
    train_s: float = 0.1                        # what the local steps of one round take
    build_s: float = 0.05                       # from listening to the learner
    clock_offset_s: float = 0.0                 # its clock minus the true time
    clock_rate: float = 1.0                     # its seconds per true second
    pool: Executor | None = None                # where the learner works; None: at once
    keeps_history: bool = True                  # rows and lines; protocol-only runs need none


class Machine:
    """One peer's machine.  `start` it, `crash` it, `leave`, `pause` and `resume` it."""

    def __init__(self, network: Network, host: str, make: Make) -> None:
        self.network, self.host, self.make = network, host, make
        self.identity, self.name = make.identity, make.identity.peer_id
        self.federation, self.options = make.federation, make.options
        self.number, self.boots = 0, 0
        self.disk = Disk()
        self.is_up = self.is_running = self.is_paused = False
        self.finished: str | None = None                 # why it ended, if it did all its rounds
        self.ends: dict[int, End] = {}
        self.doorstep = Doorstep(make.options.limits)
        self._encoded: tuple[Message | None, Frame] = None, Frame(0, 0, 0, b"")
        self.lines: deque[str] = deque(maxlen=LINES_MAX)
        self.loud: deque[tuple[float, str]] = deque(maxlen=LINES_MAX)    # what a person should see
        self.on_mixed: Callable[[Machine], None] | None = None
        self.history = History(None)

    # -------------------------------------------------------------------------------------- from start to end

    def start(self) -> None:
        """The process begins to listen, and builds its learner."""
        assert not self.is_running
        self.boots = self.disk.begin_boot()
        self.is_up = self.is_running = True
        self.is_paused, self.finished = False, None
        self.ends, self.doorstep = {}, Doorstep(self.options.limits)
        self.history = History(max(self.disk.rounds.values(), key=lambda row: row.round, default=None))
        self.keeper = Keeper(self.network.agenda, self.disk)
        self.worker: Worker | Echo | None = None
        self._events: deque[ev.Event] = deque()
        self._backlog: list[ev.Event] = []               # of a pause
        self._works = Works(self.later, self.make.pool, self._note)
        self._armed_at = float("inf")
        self.dice = random.Random(f"gossipfl/1/machine/{self.network.seed}/{self.host}/{self.boots}")
        self._secret = random.Random(f"gossipfl/1/secret/{self.network.seed}/{self.host}/{self.boots}").getrandbits(32)
        self.peer = self.make.peer(self._setup(), self.clock())
        self.feed(ev.Tick())
        if self.is_running:
            self._begin_to_learn()

    def _begin_to_learn(self) -> None:
        self._works.add(self._build, self.make.build_s, self.feed)

    def _setup(self) -> Setup:
        return Setup(
            identity=self.identity, federation=self.federation, options=self.options, dice=self.dice,
            boot=self.dice.randbytes(16), boots=self.boots, addresses=(self.host,), records=tuple(self.disk.records()),
            sequences=tuple(self.disk.last_sequences().items()), trust=tuple(self.disk.trust()),
            proofs=tuple(self.disk.proofs()),
        )  # fmt: skip

    def crash(self, *, with_power: bool = False) -> None:
        """The process dies at once; `with_power`: its whole machine does, and nobody is told."""
        self.keeper.crash()
        self._gone(with_power=with_power)

    def leave(self) -> None:
        """An orderly end: links are closed, what is to be kept is kept."""
        if not self.is_running:
            return
        self.feed(ev.Stop())
        for end in list(self.ends.values()):
            end.close(None, "leaving")
        self.keeper.settle()
        self._gone(with_power=False)

    def _gone(self, *, with_power: bool) -> None:
        self.is_running, self.is_paused, self.is_up = False, False, not with_power
        for end in list(self.ends.values()):
            self.history.closed(end)
            end.die(with_power=with_power)
        self.ends = {}

    def pause(self) -> None:
        """The process stands still; what happens to it waits."""
        self.is_paused = True

    def resume(self) -> None:
        """It finds all that has happened, and its timers overdue, in no particular order."""
        if not self.is_paused:
            return
        self.is_paused = False
        waiting, self._backlog = self._backlog, []
        waiting.insert(self.dice.randrange(len(waiting) + 1), ev.Tick())
        for event in waiting:
            self.feed(event)

    # ------------------------------------------------------------------------------------------- the machine

    def clock(self) -> float:
        """What this machine takes for the time."""
        return self.make.clock_offset_s + self.network.agenda.now * self.make.clock_rate

    def feed(self, event: ev.Event) -> None:
        """One event at a time; what an effect brings back at once waits its turn."""
        if not self.is_running:
            return
        if self.is_paused:
            self._backlog.append(event)
            return
        events = self._events
        events.append(event)
        if len(events) > 1:
            return
        told, handle, clock = self.network.told, self.peer.handle, self.clock()
        while events and self.is_running:
            if told is not None:
                told(self, events[0])
            for effect in handle(events[0], clock):
                if told is not None:
                    told(self, effect)
                _PERFORM[type(effect)](self, effect)
            events.popleft()
        self._arm()

    def _arm(self) -> None:
        """Have a Tick come when the peer wants one.  An earlier alarm that is no longer wanted rings for nothing."""
        due = self.peer.wake_at()
        if due < self._armed_at:
            self._set_alarm(due)

    def _set_alarm(self, due: float) -> None:
        agenda = self.network.agenda
        self._armed_at = due
        at = (due - self.make.clock_offset_s) / self.make.clock_rate
        agenda.at(max(at, agenda.now + _TICK_MIN_S), self._alarm, self.boots, due)

    def _alarm(self, boots: int, due: float) -> None:
        if boots != self.boots or due != self._armed_at or not self.is_running:
            return
        self._armed_at = float("inf")
        wanted = self.peer.wake_at()
        if wanted <= self.clock():
            self.feed(ev.Tick())
        if self._armed_at == float("inf") and wanted != float("inf"):
            self._set_alarm(self.peer.wake_at())

    def later(self, seconds: float, action: Callable[..., object], *arguments: Any) -> None:
        """Unless this process is gone by then."""
        self.network.agenda.after(seconds, self._if_alive, self.boots, action, arguments)

    def _if_alive(self, boots: int, action: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        if self.is_running and self.boots == boots:
            action(*arguments)

    # ----------------------------------------------------------------------------------------------- effects

    def _send(self, effect: ev.Send) -> None:
        end = self.ends.get(effect.link)
        if end is None:
            return
        message, frame = self._encoded                   # the same message often goes over many links
        if message is not effect.message or frame.id != effect.transfer:
            frame = encode(effect.message, effect.transfer)
            self._encoded = effect.message, frame
        end.send(frame)

    def _send_chunks(self, effect: ev.SendChunks) -> None:
        end = self.ends.get(effect.link)
        if end is not None:
            end.send_bulk(effect.transfer, effect.payload, effect.chunks)

    def _cancel_chunks(self, effect: ev.CancelChunks) -> None:
        end = self.ends.get(effect.link)
        if end is not None:
            end.cancel_bulk(effect.transfer)

    def _close_link(self, effect: ev.CloseLink) -> None:
        end = self.ends.get(effect.link)
        if end is not None:
            end.close(encode(Close(code=effect.code, text=effect.text)), effect.text)

    def _dial(self, effect: ev.Dial) -> None:
        self.network.dial(self, effect.host, effect.peer)

    def _verify(self, effect: ev.VerifyChunk) -> None:
        ok = verify_chunk(effect.data, effect.expected)
        verified = ev.Verified(effect.peer, effect.root, effect.chunk, ok)
        if len(effect.data) <= INLINE_HASH_BYTES:
            self.feed(verified)
        else:                                            # in a thread of its own, while the loop goes on
            self.later(len(effect.data) / HASH_BYTES_PER_S, self.feed, verified)

    def _train(self, effect: ev.Train) -> None:
        seconds = self.training_s(effect.round)

        def trained(result: ev.Trained) -> None:
            self.feed(ev.Trained(result.round, result.payload, result.examples, seconds))

        self._works.add(lambda: self._the_worker.train(effect.round), seconds, trained)

    def training_s(self, _: int) -> float:
        """How long the local steps of a round take this time."""
        return self.make.train_s * (1 + _WOBBLE * (2 * self.dice.random() - 1))

    def mixing_s(self) -> float:
        return self.make.train_s * MIX_SHARE

    def _mix(self, effect: ev.Mix) -> None:
        seconds = self.mixing_s()
        options, done = self.options.round, effect.round + 1
        is_saved = done % max(options.checkpoint_every, 1) == 0 or bool(options.rounds and done >= options.rounds)

        def mix() -> tuple[Outcome, Any]:
            outcome = self._the_worker.mix(effect)
            return outcome, self._the_worker.checkpoint(done) if is_saved else None

        def mixed(result: tuple[Outcome, Any]) -> None:
            outcome, saved = result
            if saved is not None:
                self.keeper.keep(self._save, saved)
            outcome = dataclasses.replace(outcome, mixed=dataclasses.replace(outcome.mixed, busy_s=seconds))
            self._note_round(effect, outcome)
            self.feed(outcome.mixed)
            if self.on_mixed is not None:
                self.on_mixed(self)

        self._works.add(mix, seconds, mixed)

    def _take_snapshot(self, _: ev.TakeSnapshot) -> None:
        self.later(_SNAPSHOT_S, self._snapshot_taken)

    def _snapshot_taken(self) -> None:
        self.feed(snapshot_of(self.public))

    def _forget(self, effect: ev.Forget) -> None:
        if self.worker is not None:
            self._works.add(lambda: self._the_worker.forget(effect.peer), 0.0, lambda _: None)

    def _keep_record(self, effect: ev.KeepRecord) -> None:
        self.keeper.record(effect)

    def _drop_record(self, effect: ev.DropRecord) -> None:
        self.keeper.keep(self.disk.drop_records, [effect.peer])

    def _keep_manifest(self, effect: ev.KeepManifest) -> None:
        self.keeper.manifest(effect)

    def _keep_proof(self, effect: ev.KeepProof) -> None:
        self.keeper.keep(self.disk.put_proof, effect.first, effect.second)

    def _keep_trust(self, effect: ev.KeepTrust) -> None:
        self.keeper.keep(self.disk.put_trust, effect.rows)

    def _tell(self, effect: ev.Story) -> None:
        self._line(effect.mark, effect.text)
        if effect.loud:
            self.loud.append((self.network.agenda.now, f"{effect.mark} {effect.text}"))

    def _finish(self, effect: ev.Finished) -> None:
        if self.finished is None:
            self.finished = effect.reason
            self.later(0.0, self.leave)

    # ------------------------------------------------------------------------------- the learning thread's work

    def _build(self) -> ev.Ready:
        self.worker = self.make.worker(self.make.learner(), self.federation, self.options)
        if isinstance(self.worker, Worker):
            self.worker.secret = self._secret
        if self.make.twin is not None and isinstance(self.worker, Worker):
            self.worker.twin = self.make.twin()
        number = self.worker.resume(*self.disk.checkpoint) if self.disk.checkpoint is not None else 0
        return ev.Ready(self.worker.own.size, number, self.worker.own.state)

    def _note(self) -> None:
        """What others may look at while the next work is under way, perhaps in a pool."""
        self.public: PublicModel = self._the_worker.own
        if isinstance(self.worker, Worker):
            self.ruling = self.worker.ruling.copy()

    @property
    def _the_worker(self) -> Worker | Echo:
        assert self.worker is not None, "work before the learner is built"
        return self.worker

    # ----------------------------------------------------------------------- what the network brings, and the log

    def link_down(self, end: End, reason: str, *, broken: bool) -> None:
        self.ends.pop(end.number, None)
        self.history.closed(end)
        self.feed(ev.LinkDown(end.number, reason, broken=broken))

    def dial_failed(self, host: str, reason: str) -> None:
        self.feed(ev.DialFailed(host, reason))

    def hear_of(self, other: Machine) -> None:
        """mDNS says that `other` may be there."""
        self.feed(ev.Found(other.host, other.name))

    def introduce(self, host: str, peer: PeerId | None) -> None:
        """The user names an address, and perhaps who is there."""
        self.feed(ev.Found(host, peer, insist=True))

    def _note_round(self, effect: ev.Mix, outcome: Outcome) -> None:
        if not self.make.keeps_history:
            return
        row = self.history.round_row(effect, outcome, list(self.ends.values()), self.network.agenda.now)
        self.history.last = row = dataclasses.replace(row, rss_mb=0.0)       # the process is not its own
        self.keeper.keep(self._put_round, row)
        for line in self.history.told(effect, outcome):
            self._line(line[0], line[2:])

    def _put_round(self, row: Any) -> None:
        self.disk.rounds[row.round] = row

    def _save(self, saved: Any) -> None:
        self.disk.checkpoint = saved

    def _line(self, mark: str, text: str) -> None:
        if self.make.keeps_history:
            self.lines.append(f"{self.network.agenda.now:.4f} {mark} {text}")

    @property
    def round(self) -> int:
        """The one it is in."""
        return self.peer.averaging.round.number


_PERFORM: dict[type, Callable[[Machine, Any], None]] = {
    ev.Send: Machine._send, ev.SendChunks: Machine._send_chunks, ev.CancelChunks: Machine._cancel_chunks,
    ev.CloseLink: Machine._close_link, ev.Dial: Machine._dial, ev.VerifyChunk: Machine._verify,
    ev.Train: Machine._train, ev.Mix: Machine._mix, ev.TakeSnapshot: Machine._take_snapshot, ev.Forget: Machine._forget,
    ev.KeepRecord: Machine._keep_record, ev.DropRecord: Machine._drop_record, ev.KeepManifest: Machine._keep_manifest,
    ev.KeepProof: Machine._keep_proof, ev.KeepTrust: Machine._keep_trust, ev.Story: Machine._tell,
    ev.Finished: Machine._finish,
}  # fmt: skip
