"""The vocabulary of the protocol machines: what happens to them (events) and what they want done (effects)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from gossipfl.identity import PeerId
from gossipfl.wire.chunks import Payload
from gossipfl.wire.manifest import Manifest, PeerRecord, Signed
from gossipfl.wire.messages import CloseCode, Message
from gossipfl.wire.records import Frame

T = TypeVar("T")


class Dice(Protocol):
    """The part of random.Random that the machines use; the shell brings a seeded one."""

    def random(self) -> float: ...

    def sample(self, population: list[T], k: int) -> list[T]: ...


# ---------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A connection is encrypted and its other end proven to be `peer`."""

    link: int
    peer: PeerId
    dialed: bool                     # by me
    address: str                     # host:port of the other end


@dataclass(frozen=True, slots=True)
class LinkDown:
    link: int
    reason: str
    broken: bool = False             # by a rule that the other end broke below the messages: records, rates, lengths


@dataclass(frozen=True, slots=True)
class Received:
    link: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody may be reachable here: mDNS, an option, or last time's memory.  A rumor until a handshake proves it."""

    host: str                        # host:port
    peer: PeerId | None
    insist: bool = False             # the user named it: never forgotten, dialed even when links suffice


@dataclass(frozen=True, slots=True)
class DialFailed:
    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The learner is built: vectors have this length, and these are my round and my public model's state."""

    size: int
    round: int
    state: bytes


@dataclass(frozen=True, slots=True)
class Trained:
    """The local steps of a round are done and the delta against my public model is encoded and hashed."""

    round: int
    payload: Payload
    examples: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class SnapshotReady:
    state: bytes                     # of my public model when the snapshot was taken
    payload: Payload


@dataclass(frozen=True, slots=True)
class Verified:
    """A downloaded chunk was hashed."""

    peer: PeerId
    root: bytes
    chunk: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Mixed:
    """The neighbors' models of a round have entered mine."""

    round: int
    busy_s: float
    broken: dict[PeerId, str] = field(default_factory=dict)      # updates that could not be decoded: the signer's fault
    evidence: dict[PeerId, float] = field(default_factory=dict)  # how much of each fresh model entered, 0..1: trust.py


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `Peer.wake_at` says when one is due."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The user wants this peer to leave."""


Event = (
    LinkUp | LinkDown | Received | Found | DialFailed | Ready | Trained | SnapshotReady | Verified | Mixed | Tick | Stop
)

# --------------------------------------------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Dial:
    host: str
    peer: PeerId | None


@dataclass(frozen=True, slots=True)
class Send:
    link: int
    message: Message
    transfer: int = 0


@dataclass(frozen=True, slots=True)
class SendChunks:
    link: int
    transfer: int
    payload: Payload
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CancelChunks:
    link: int
    transfer: int


@dataclass(frozen=True, slots=True)
class CloseLink:
    link: int
    code: CloseCode
    text: str


@dataclass(frozen=True, slots=True)
class VerifyChunk:
    """Hash `data` off the event loop and come back with Verified."""

    peer: PeerId
    root: bytes
    chunk: int
    data: memoryview
    expected: bytes


@dataclass(frozen=True, slots=True)
class Train:
    round: int


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Cut my public model into a payload and come back with SnapshotReady."""


@dataclass(frozen=True, slots=True)
class Update:
    """A payload whose every byte is verified, and the manifest it belongs to."""

    manifest: Manifest
    data: memoryview


@dataclass(frozen=True, slots=True)
class Contribution:
    """One neighbor's part in a mixing: what to add to its public model first, and how it weighs."""

    peer: PeerId
    updates: tuple[Update, ...]
    weight: float
    staleness: int                   # my rounds since its newest model arrived


@dataclass(frozen=True, slots=True)
class Mix:
    round: int
    contributions: tuple[Contribution, ...]
    expected: int
    heard: int
    late: tuple[PeerId, ...]
    stale: tuple[PeerId, ...]
    busy_s: float                    # of the training
    wait_s: float
    catching_up: bool = False        # my model is of another time: neighbors alone decide


@dataclass(frozen=True, slots=True)
class Forget:
    """A peer left the view: its public model is not kept."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class KeepRecord:
    record: Signed[PeerRecord]


@dataclass(frozen=True, slots=True)
class DropRecord:
    """Its signer has been silent for too long: it is not remembered over a restart either."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class KeepManifest:
    manifest: Signed[Manifest]


@dataclass(frozen=True, slots=True)
class KeepProof:
    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True)
class KeepTrust:
    """My own opinion of some peers, for my own disk: nobody else's business."""

    rows: tuple[tuple[PeerId, float, int], ...]                      # a peer, its score in 0..1, my round


@dataclass(frozen=True, slots=True)
class Story:
    """One line of the log.  Marks: > sent, < received, = state, ! refused, x closed."""

    mark: str
    text: str
    loud: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """My rounds are done and nobody needs me any more."""

    reason: str


Effect = (
    Dial | Send | SendChunks | CancelChunks | CloseLink | VerifyChunk | Train | TakeSnapshot | Mix | Forget
    | KeepRecord | DropRecord | KeepManifest | KeepProof | KeepTrust | Story | Finished
)  # fmt: skip
