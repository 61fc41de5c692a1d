"""What a node has done in its learning thread: the learner is built, and after each mixing what is to be kept.

    shard -> learner, twin -> Worker, where its checkpoint left it;   Mix -> Mixed: outcome, rule, checkpoint to write

The shell (node.py) decides when; the work itself is worker.py's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from gossipfl.config import NodeConfig
from gossipfl.errors import ConfigError
from gossipfl.federation import Federation
from gossipfl.identity import PeerId
from gossipfl.learning.data import Shard
from gossipfl.learning.learner import Learner, LearnerContext
from gossipfl.node import checkpoint
from gossipfl.node.choice import Choice
from gossipfl.node.survey import around
from gossipfl.node.twin import Twin, divide, own_part
from gossipfl.node.worker import Outcome, Worker
from gossipfl.protocol import events as ev
from gossipfl.protocol.directory import Claims

MakeLearner = Callable[[LearnerContext], Learner]
MakeWorker = Callable[[Learner, Federation, NodeConfig, Twin | None], Worker]


class Mixed(NamedTuple):
    """What comes back from a mixing."""

    outcome: Outcome
    choice: Choice | None                                # what is new about the rule
    ruling: dict[str, Any]                               # the rule in force, for the status
    save: Callable[[], None] | None                      # writes the checkpoint, if it is time


@dataclass(frozen=True, slots=True)
class Workplace:
    """Everything that a worker is made of, and where its checkpoints lie."""

    federation: Federation
    options: NodeConfig
    state: Path
    me: PeerId
    make_learner: MakeLearner
    make_worker: MakeWorker = Worker

    def build(self, shard: Shard) -> tuple[Worker, ev.Ready]:
        """A worker that goes on where the last checkpoint left it.  Raises UserError for what cannot be built."""
        agreed, rules = self.federation, self.options.aggregation
        if agreed.model.name != "custom":
            from gossipfl.learning.jax_setup import enable_compilation_cache

            enable_compilation_cache()
        stream = self.me.stream
        mine = own_part(shard, stream, rules)
        own, twin = LearnerContext(agreed.model, self.options.training, mine, agreed.seed, stream), None
        if rules.alone_every:
            twin = Twin(self.make_learner(replace(own, shard=divide(shard, stream)[1])), rules)
        worker = self.make_worker(self.make_learner(own), agreed, self.options, twin)
        if 4 * worker.own.size > self.options.limits.update_bytes_max:
            raise ConfigError(f"a model of {worker.own.size} parameters needs {4 * worker.own.size} bytes",
                              "limits.update_bytes_max")                                            # fmt: skip
        worker.secret = secrets.randbits(32)
        saved = checkpoint.load(self.state / checkpoint.FILE)
        number = worker.resume(*saved) if saved is not None else 0
        return worker, ev.Ready(worker.own.size, number, worker.own.state)

    def mix(self, worker: Worker, effect: ev.Mix, claims: Claims | None) -> Mixed:
        """Mix, and prepare the checkpoint to be written while the next round already trains."""
        choice = worker.ruling.consider(around(self.me, claims)) if claims is not None else None
        outcome, told = worker.mix(effect), worker.ruling.told()
        options, done = self.options.round, effect.round + 1
        if done % max(options.checkpoint_every, 1) and not (options.rounds and done >= options.rounds):
            return Mixed(outcome, choice, told, None)
        tensors, about = worker.checkpoint(done)
        return Mixed(outcome, choice, told, lambda: checkpoint.save(self.state / checkpoint.FILE, tensors, about))
