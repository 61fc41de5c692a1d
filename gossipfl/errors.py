"""One tree of exceptions, sorted by whose turn it is.

    GossipflError
    ├── UserError        the user fixes it: one sentence with the remedy, exit 2, nothing written or lost
    │   ├── ConfigError      an option, a scenario or a federation file
    │   ├── DataError        the examples a user brought
    │   └── StateError       keys, state directories, checkpoints, ports
    ├── PeerError        a peer broke the protocol: drop, score, go on
    └── LinkError        nobody's fault: wait and try again

A failed ``assert`` is our own bug and is never caught.  Each room defines the leaves it raises, next to the code that
raises them, with the numbers in the message.
"""

import difflib
from collections.abc import Iterable


def meant(name: str, names: Iterable[str]) -> str:
    """What to say of a name that does not exist: the one that was meant, or which there are."""
    known = list(names)
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}" if known else "it takes none"


class GossipflError(Exception):
    """The root, so that a caller can say "anything this package means to say"."""


class UserError(GossipflError):
    """The user's turn.  The message is one sentence that names the remedy, printed by the command line; exit 2."""


class ConfigError(UserError):
    """An option that cannot be honoured.  `path` is where, e.g. ``training.batch_size``, `reason` why."""

    def __init__(self, message: str, path: str = "") -> None:
        self.path, self.reason = path, message
        super().__init__(f"{path}: {message}" if path else message)


class DataError(UserError):
    """Examples that cannot be trained on."""


class StateError(UserError):
    """A key file, a state directory, a checkpoint or a port that cannot be used as it is."""


class PeerError(GossipflError):
    """A peer's fault.  Whoever holds the link drops it and lowers the peer's score; nothing else stops."""


class LinkError(GossipflError):
    """The network's turn: unreachable, cut, timed out.  Wait and retry."""


class TooFewPeers(LinkError):
    """A rule was asked to promise more than the number of models can carry (n > 2f and the like)."""

    def __init__(self, rule: str, have: int, need: int) -> None:
        self.have, self.need = have, need
        super().__init__(f"{rule} needs {need} models, my own included, and has {have}")
