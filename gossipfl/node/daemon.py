"""How a node is started: what can be refused is refused before anything is written, and a failed start leaves nothing.

The running peer is node.py; the command line that comes here is cli/node.py.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import closing
from pathlib import Path

from gossipfl.codec import check_codec
from gossipfl.config import NodeConfig
from gossipfl.errors import ConfigError, StateError, UserError
from gossipfl.federation import Federation
from gossipfl.identity import Identity
from gossipfl.learning.data import load_shard
from gossipfl.learning.learner import build
from gossipfl.net import addresses
from gossipfl.node import log, ruling
from gossipfl.node.database import FILE as STORE_FILE
from gossipfl.node.learning import MakeLearner, MakeWorker
from gossipfl.node.node import MakePeer, Node, PrepareShard
from gossipfl.node.store import Store
from gossipfl.node.worker import Worker
from gossipfl.protocol.peer import Peer

KEY_FILE = "key"
_GIL_SWITCH_S = 0.001                # how soon the loop gets the interpreter back from a thread that computes


def run_node(
    federation: Federation,
    options: NodeConfig,
    state: Path,
    *,
    make_learner: MakeLearner | None = None,
    prepare_shard: PrepareShard | None = None,
    make_peer: MakePeer = Peer,
    make_worker: MakeWorker = Worker,
    live: bool = False,
) -> int:
    """Run one peer until its rounds are done or it is told to stop.  Returns the exit code: 0, or 130 if interrupted.

    `state` holds its key, store and checkpoint, and is made if missing.  `make_learner`, `make_peer` and
    `make_worker` replace the federation's own learner, the protocol's machine and the learning thread's worker,
    `prepare_shard` changes the private examples before training.  Raises UserError.
    """
    sys.setswitchinterval(_GIL_SWITCH_S)
    recent = log.setup(on_screen=live)
    check_options(federation, options)
    shard = load_shard(options.data, federation.model)
    if prepare_shard is not None:
        shard = prepare_shard(shard)
    is_new, node = not state.exists(), None
    _make_directory(state)
    try:
        identity = own_identity(state)
        with closing(Store.open(state, federation, identity.peer_id)) as store:
            node = Node(
                federation, options, state, identity, store, recent, shard, make_learner or build, make_peer,
                make_worker,
            )  # fmt: skip
            del shard                                    # the learner's copy is enough
            if store.last_round() is None:               # nobody has lived by this key yet
                node.first_words = f"= my key is in {state / KEY_FILE}; keep it, and keep it to yourself"
            return asyncio.run(node.run(live=live))
    except UserError:
        if is_new and (node is None or not node.is_ready):
            shutil.rmtree(state, ignore_errors=True)
        raise


def _make_directory(state: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"cannot make the state directory {state}: {error.strerror}; name another one") from None


def own_identity(state: Path) -> Identity:
    """The key in `state`, made at the first start.  Raises StateError where there was one and it is gone."""
    if not (state / KEY_FILE).exists():
        if (state / STORE_FILE).exists():
            raise StateError(f"{state} has a history and no key: bring back {state / KEY_FILE} or name another")
        Identity.generate().save(state / KEY_FILE)
    return Identity.load(state / KEY_FILE)


def check_options(federation: Federation, options: NodeConfig) -> None:
    """Raises ConfigError for what could only fail later: an address, a codec or a rule that cannot be used."""
    addresses.parse(options.listen)
    for text in options.discovery.peers:
        if addresses.parse(text).port == 0:
            raise ConfigError(f"{text} has port 0, where nobody can be called; name the port it listens on", "peer")
    check_codec(federation.codec)
    ruling.check(options)
