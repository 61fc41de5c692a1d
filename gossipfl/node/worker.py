"""The work of one peer's learning thread: train, encode, mix, evaluate.

    train   x_half = learner.train();  payload = encode(x_half - p);  p <- p + decode(payload)
    mix     p_j <- p_j + decode(update);  z_j = p_j - p;  x = x_half + gamma * rule(screen(z))

What the rule sees and concludes is in mixing.py, the twin that learns beside me in twin.py.

Every method runs in that one thread, so nothing here is locked; `own` alone is read by another (the snapshot), and is
replaced, never changed.  When to do what is decided in protocol/, what is kept of it in daemon.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gossipfl.aggregation import norm
from gossipfl.codec import CODECS
from gossipfl.codec.payload import Diverged
from gossipfl.codec.public_model import PublicModel, snapshot_bytes
from gossipfl.config import NodeConfig
from gossipfl.errors import PeerError, StateError
from gossipfl.federation import Federation
from gossipfl.identity import PeerId
from gossipfl.learning.learner import Learner, Metrics, Resumable
from gossipfl.learning.sketch import sketch
from gossipfl.node.mixing import Heard, Mixing, check_learner, mix
from gossipfl.node.ruling import Ruling
from gossipfl.node.twin import Comparison, Twin
from gossipfl.node.verdicts import Verdict, evidence
from gossipfl.protocol.events import Contribution, Mix, Mixed, SnapshotReady, Trained, Update
from gossipfl.wire.chunks import cut
from gossipfl.wire.manifest import genesis_state, next_state

logger = logging.getLogger(__name__)
_STATE_PREFIX = "state."             # of the learner's own tensors in a checkpoint


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a mixing was like, for the history."""

    mixed: Mixed
    metrics: Metrics | None
    train_loss: float | None
    verdicts: tuple[Verdict, ...]    # on each neighbor whose model was to enter mine
    distance: float | None           # root mean square over neighbors of |p_j - p|
    sketch: bytes
    told: tuple[str, ...] = ()       # why nothing was mixed, if so
    compared: Comparison | None = None       # with my twin, if it was time
    is_isolated: bool = False        # nothing is mixed any more: my twin was better

    @property
    def refused(self) -> dict[PeerId, str]:
        """Broken, or screened out before any rule saw it, and why."""
        return {one.peer: one.reason for one in self.verdicts if one.cause in ("broken", "screened")}


def snapshot_of(model: PublicModel) -> SnapshotReady:
    """A whole public model as a payload."""
    return SnapshotReady(model.state, cut(snapshot_bytes(model)))


@dataclass(slots=True)
class Worker:
    """A learner and the public models around it."""

    learner: Learner
    federation: Federation
    options: NodeConfig
    twin: Twin | None = None                                 # that learns alone
    secret: int = 0                                          # of the rule's dice: whoever knew which numbers a rule
                                                             # samples would lie in the others
    ruling: Ruling = field(init=False)                       # the rule in force
    is_isolated: bool = field(init=False, default=False)
    own: PublicModel = field(init=False)
    _genesis: PublicModel = field(init=False)
    _models: dict[PeerId, PublicModel] = field(default_factory=dict)
    _fresh_state: dict[str, np.ndarray] = field(init=False)
    _resumable: Resumable | None = field(init=False)         # the learner, if it remembers more than its vector
    _train_loss: float | None = None
    _before: np.ndarray | None = None                        # my model before the local steps, if the rule asks for it

    def __post_init__(self) -> None:
        self.ruling = Ruling(self.options)
        check_learner(self.ruling, self.learner)
        self._resumable = self.learner if isinstance(self.learner, Resumable) else None
        self._fresh_state = self._resumable.state() if self._resumable is not None else {}
        self._genesis = self.own = PublicModel(self.learner.vector(), genesis_state(self.federation.terms))
        self.ruling.begin(norm(self._genesis.vector))

    # ---------------------------------------------------------------------------------------- checkpoints

    def checkpoint(self, round_: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Tensors and facts from which `resume` goes on with `round_`."""
        state = self._resumable.state() if self._resumable is not None else {}
        tensors = {"vector": self.learner.vector(), "public": self.own.vector}
        tensors |= {_STATE_PREFIX + name: np.asarray(array) for name, array in state.items()}
        tensors |= self.ruling.tensors() | (self.twin.tensors() if self.twin is not None else {})
        return tensors, {"round": str(round_), "state": self.own.state.hex(), "terms": self.federation.terms.hex()}

    def resume(self, tensors: dict[str, np.ndarray], about: dict[str, str]) -> int:
        """Take a checkpoint back; returns the round to go on with.  Raises StateError if it is of another model."""
        if about.get("terms") != self.federation.terms.hex() or tensors["vector"].shape != (self.learner.size,):
            raise StateError(
                f"the checkpoint is of another model than {self.federation.summary}, {self.learner.size} parameters: "
                "use the federation and learner that it was made with, or move it away to start afresh"
            )
        self.learner.load(tensors["vector"])
        if self._resumable is not None:
            own = {name: tensor for name, tensor in tensors.items() if name.startswith(_STATE_PREFIX)}
            self._resumable.restore({name.removeprefix(_STATE_PREFIX): tensor for name, tensor in own.items()})
        self.ruling.resume(tensors)
        if self.twin is not None:
            self.twin.resume(tensors)
        self.own = PublicModel(tensors["public"], bytes.fromhex(about["state"]))
        return int(about["round"])

    # ----------------------------------------------------------------------------------------------- work

    def train(self, round_: int) -> Trained:
        """The local steps of a round, and the payload that brings my public model up to them."""
        started = time.perf_counter()
        self._before = self.learner.vector() if "update" in self.ruling.needs else None
        report = self.learner.train(round_)
        self._train_loss = report.loss
        codec = CODECS[self.federation.codec]
        payload = cut(self._encoded())
        # I add what my neighbors will add, not what I meant: what the codec lost stays in the next difference.
        self.own = self.own.advance(codec.decode(payload.data, self.own.size), next_state(self.own.state, payload.root))
        return Trained(round_, payload, report.examples, time.perf_counter() - started)

    def _encoded(self) -> bytes:
        """What my neighbors lack of my model.

        A model that left the range of float32 - a wild learning rate, or poison that a weak rule let in - is nobody's
        gain: I go back to the one I published last, with a fresh optimizer, and go on.
        """
        codec = CODECS[self.federation.codec]
        try:
            return codec.encode(self.own.difference(self.learner.vector()))
        except Diverged as error:
            logger.warning("! %s; back to the model published last", error)
            self.learner.load(self.own.vector)
            if self._resumable is not None:
                self._resumable.restore(self._fresh_state)
            return codec.encode(np.zeros_like(self.own.vector))

    def take_snapshot(self) -> SnapshotReady:
        """My whole public model as a payload.  May run in any thread."""
        return snapshot_of(self.own)

    def mix(self, effect: Mix) -> Outcome:
        """Bring the neighbors' public models up to date and let the rule move mine."""
        started = time.perf_counter()
        broken = {c.peer: why for c in effect.contributions if (why := self._follow(c)) is not None}
        compared = self._compare(effect)
        mixing = self._move(effect)
        verdicts = (*(Verdict(peer, None, 0.0, "broken", why) for peer, why in broken.items()), *mixing.verdicts)
        metrics = self.learner.evaluate() if self._is_due(effect.round) else None
        fresh = [c.peer for c in effect.contributions if c.updates]
        # Who catches up is far from everybody; that is nobody's fault but its own.
        seen = {} if effect.catching_up else evidence(verdicts, fresh)
        return Outcome(
            mixed=Mixed(effect.round, time.perf_counter() - started, broken, seen), metrics=metrics,
            train_loss=self._train_loss, verdicts=verdicts, distance=mixing.distance,
            sketch=sketch(self.learner.vector(), self.federation.seed).tobytes(), told=mixing.told, compared=compared,
            is_isolated=self.is_isolated,
        )  # fmt: skip

    def _compare(self, effect: Mix) -> Comparison | None:
        """Ask the twin whether I am better off, and draw the consequence."""
        if self.twin is None or self.is_isolated or effect.catching_up:
            return None
        compared = self.twin.compare(effect.round, self.learner.vector())
        if compared is not None and compared.is_alarm and self.options.aggregation.on_harm == "isolate":
            self.is_isolated = True
            self.twin.hand_over(self.learner)            # it has won: the better of my two models
        return compared

    def _move(self, effect: Mix) -> Mixing:
        """x = x_half + gamma * correction.  With too few models my own stays as it is, and the log says so."""
        if self.is_isolated:
            return Mixing(None, (), None)
        present = [c for c in effect.contributions if c.weight > 0 and c.peer in self._models]
        heard = Heard(
            round=effect.round, rounds=self.options.round.rounds, own=self.own.vector,
            peers=[c.peer for c in present], models=[self._models[c.peer].vector for c in present],
            weights=[c.weight for c in present], seed=self.secret, before=self._before,
            catching_up=effect.catching_up,
        )  # fmt: skip
        mixing = mix(heard, self.ruling, self.learner)
        if mixing.step is not None:
            self.learner.load(np.add(self.learner.vector(), mixing.step, dtype=np.float32))
        return mixing

    def forget(self, peer: PeerId) -> None:
        self._models.pop(peer, None)

    @property
    def models(self) -> Mapping[PeerId, PublicModel]:
        """Neighbors' public models, as far as they are followed."""
        return self._models

    def _follow(self, contribution: Contribution) -> str | None:
        """Apply a neighbor's updates to its public model.  Returns why not, if one cannot be decoded."""
        peer = contribution.peer
        try:
            for update in contribution.updates:
                self._models[peer] = self._applied(self._models.get(peer, self._genesis), update)
        except PeerError as error:
            self._models.pop(peer, None)
            return str(error)
        return None

    def _applied(self, model: PublicModel, update: Update) -> PublicModel:
        if update.manifest.kind == "snapshot":
            return model.replaced(update.data, update.manifest.state)
        delta = CODECS[self.federation.codec].decode(update.data, model.size)
        return model.advance(delta, next_state(update.manifest.base, update.manifest.root))

    def _is_due(self, round_: int) -> bool:
        options = self.options.round
        is_last = bool(options.rounds) and round_ + 1 >= options.rounds
        return is_last or round_ % max(options.evaluate_every, 1) == 0
