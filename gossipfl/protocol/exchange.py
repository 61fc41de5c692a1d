"""Updates out, updates in: nobody pushes a byte that was not asked for.

    publish -> ANNOUNCE -> (their WANT) -> chunks            their ANNOUNCE -> WANT -> chunks -> verify -> pending

For each neighbor there is one chain of states: what I hold of it (or will, when what is pending is mixed) is the *tip*,
and only a delta that starts there is fetched.  Where the chain has a gap - a newcomer, a cut, a fast neighbor - I ask
for a snapshot instead.  Pending updates are bounded, so a neighbor that publishes faster than I mix costs me no more
bytes than my own pace; what waited too long is skipped over by a snapshot.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from gossipfl.config import LimitsConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import PeerId
from gossipfl.protocol.downloads import Announced, Download, Unsolicited
from gossipfl.protocol.events import (
    CancelChunks,
    Effect,
    KeepManifest,
    KeepProof,
    Send,
    SendChunks,
    Story,
    TakeSnapshot,
    Update,
    VerifyChunk,
)
from gossipfl.wire.chunks import Payload, parse_piece
from gossipfl.wire.manifest import Manifest, Signed, check_hashes, genesis_state, open_manifest, vector_spec
from gossipfl.wire.messages import Announce, AskSnapshot, BadMessage, Cancel, Refuse, Want
from gossipfl.wire.records import Frame

_SNAPSHOT_PATIENCE_S = 15.0          # a snapshot that was asked for and did not come is asked for again
_CANCELLED_MAX = 64                  # cancelled transfers whose last chunks may still arrive
_PROMPT_BYTES_PER_S = 1e6            # a payload that comes slower than this for long enough is given up


class WrongUpdate(PeerError):
    """A manifest that cannot be an update of this federation's model."""


class Equivocation(PeerError):
    """Two manifests of one signer with one sequence and different roots: proof of lying."""


class Replay(PeerError):
    """A manifest older than one already seen from its signer."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What an update of this federation looks like, known once the learner is built."""

    spec: bytes
    delta_bytes: int
    snapshot_bytes: int


@dataclass(slots=True)
class Inbox:
    """What one neighbor offers, what is on its way from it, and what waits for my mixing."""

    tip: bytes                                                       # state after all that is pending
    offers: deque[Announced] = field(default_factory=deque)          # deltas, oldest first
    download: Download | None = None
    pending: deque[Update] = field(default_factory=deque)
    asked_at: float | None = None                                    # when a snapshot was asked for
    early: Announce | None = None                                    # came before my learner was built
    fetch_s: float = 0.0                                             # how long the last payload took
    link: int | None = None                                          # over which the download is asked for


class Exchange:
    """My published payloads, and an inbox per neighbor."""

    def __init__(
        self, federation: Federation, limits: LimitsConfig, sequences: dict[PeerId, int]
    ) -> None:
        self._federation, self._limits = federation, limits
        self._vectors: Vectors | None = None
        self._genesis = genesis_state(federation.terms)
        self._published: OrderedDict[bytes, Payload] = OrderedDict()
        self._latest: Announce | None = None
        self._snapshot: tuple[bytes, Announce, Payload] | None = None    # of my state at that time
        self._snapshot_for: set[int] = set()                             # links that wait for one
        self._taking = False
        self._seen: dict[PeerId, tuple[int, Signed[Manifest] | None]] = {p: (s, None) for p, s in sequences.items()}
        self._transfers = 0
        self._cancelled: deque[tuple[int, int]] = deque(maxlen=_CANCELLED_MAX)
        self.inboxes: dict[PeerId, Inbox] = {}
        self.state = self._genesis                                       # of my own public model

    # ------------------------------------------------------------------------------------------ serving

    def ready(self, size: int, delta_bytes: int, state: bytes) -> None:
        """My learner is built: vectors have `size` numbers, and `state` names my public model."""
        self._vectors = Vectors(vector_spec(self._federation.terms, size), delta_bytes, 4 * size)
        self.state = state

    @property
    def vectors(self) -> Vectors:
        assert self._vectors is not None, "nothing is published before the learner is built"
        return self._vectors

    def publish(self, signed: Signed[Manifest], payload: Payload, links: Iterable[int]) -> list[Effect]:
        """My new delta, announced to my neighbors.  The oldest payload beyond `published_max` is no longer served."""
        self.state = signed.document.state
        self._published[payload.root] = payload
        while len(self._published) > self._limits.published_max:
            self._published.popitem(last=False)
        self._latest = Announce(manifest=signed.envelope, hashes=payload.hashes)
        return [KeepManifest(signed), *(Send(link, self._latest) for link in links)]

    def introduce(self, link: int) -> list[Effect]:
        """Tell a new neighbor what I published last."""
        return [Send(link, self._latest)] if self._latest is not None else []

    def serve(self, link: int, transfer: int, want: Want) -> list[Effect]:
        """Their WANT.  Raises BadMessage for chunks that the payload does not have."""
        payload = self._published.get(want.root)
        if payload is None and self._snapshot is not None and self._snapshot[2].root == want.root:
            payload = self._snapshot[2]
        if payload is None:
            return [Send(link, Refuse(root=want.root, reason="no longer here"), transfer)]
        count = len(payload.hashes) // 32
        if max(want.chunks) >= count or len(set(want.chunks)) != len(want.chunks):
            raise BadMessage(f"WANT of chunks {want.chunks[:4]}... of a payload of {count}")
        return [SendChunks(link, transfer, payload, want.chunks)]

    def cancel(self, link: int, transfer: int) -> list[Effect]:
        return [CancelChunks(link, transfer)]

    def snapshot_asked(self, link: int) -> list[Effect]:
        """They lack the base of my deltas."""
        if self._snapshot is not None and self._snapshot[0] == self.state:
            return [Send(link, self._snapshot[1])]
        self._snapshot_for.add(link)
        if self._taking or self._vectors is None:
            return []
        self._taking = True
        return [TakeSnapshot()]

    def snapshot_taken(self, signed: Signed[Manifest], payload: Payload) -> list[Effect]:
        announce = Announce(manifest=signed.envelope, hashes=payload.hashes)
        self._snapshot = (signed.document.state, announce, payload)
        self._taking = False
        links, self._snapshot_for = self._snapshot_for, set()
        return [Send(link, announce) for link in sorted(links)]

    # ----------------------------------------------------------------------------------------- fetching

    def add(self, peer: PeerId) -> None:
        """A new neighbor.  Until it says otherwise its public model is the federation's initial one."""
        self.inboxes.setdefault(peer, Inbox(self._genesis))

    def remove(self, peer: PeerId) -> None:
        self.inboxes.pop(peer, None)

    def announced(self, peer: PeerId, link: int, announce: Announce, round_: int | None, now: float) -> list[Effect]:
        """Their ANNOUNCE.  Raises a PeerError for one that breaks the rules.

        `round_` is mine, None while it says nothing yet (a newcomer does not know what time it is).
        """
        inbox = self.inboxes.get(peer)
        if inbox is None:
            return []                                            # no neighbor of mine, or not yet: it will say so again
        if self._vectors is None:
            inbox.early = announce
            return []
        signed = open_manifest(announce.manifest)
        self._check(peer, signed, announce.hashes, round_)
        if not self._note(signed):
            return self.fetch(peer, link, now)                   # said again after a reconnection
        manifest = signed.document
        offer = Announced(signed, announce.hashes)
        effects: list[Effect] = [KeepManifest(signed)]
        if manifest.kind == "snapshot":
            if inbox.asked_at is None:
                return effects
            inbox.asked_at = None
            inbox.offers = deque(o for o in inbox.offers if o.manifest.sequence > manifest.sequence)
            inbox.offers.appendleft(offer)
        else:
            inbox.offers.append(offer)
            while len(inbox.offers) > self._limits.pending_updates_max + 1:
                inbox.offers.popleft()
        return effects + self.fetch(peer, link, now)

    def wake_early(self, peer: PeerId, link: int, round_: int | None, now: float) -> list[Effect]:
        """My learner is built: hear what was said before."""
        inbox = self.inboxes.get(peer)
        early, announce = (inbox, inbox.early) if inbox is not None else (None, None)
        if early is None or announce is None:
            return []
        early.early = None
        return self.announced(peer, link, announce, round_, now)

    def fetch(self, peer: PeerId, link: int, now: float) -> list[Effect]:
        """Ask for what is next from `peer`: more chunks, the next update, or a snapshot over a gap."""
        inbox = self.inboxes.get(peer)
        if inbox is None:
            return []
        if inbox.download is None:
            effects = self._begin(inbox, link, now)
            if inbox.download is None:
                return effects
        download = inbox.download
        if inbox.link != link:                                   # begun over another link: ask again for what was cut
            download.cut()
            inbox.link = link
        chunks = download.request(self._limits.window_bytes)
        if not chunks:
            return []
        root = download.offer.manifest.root
        return [Send(link, Want(root=root, chunks=chunks), download.transfer)]

    def chunk(self, peer: PeerId, link: int, frame: Frame) -> list[Effect]:
        """A CHUNK frame.  Raises Unsolicited or BadChunk."""
        inbox = self.inboxes.get(peer)
        download = inbox.download if inbox is not None else None
        if inbox is None or download is None or download.transfer != frame.id:
            if (link, frame.id) in self._cancelled:
                return []
            raise Unsolicited(f"a chunk of transfer {frame.id}, which nobody asked for")
        piece = parse_piece(frame.body)
        if inbox.link != link:
            return []                                            # asked for over a link that is being replaced
        whole = download.receive(piece)
        if whole is None:
            return []
        root = download.offer.manifest.root
        return [VerifyChunk(peer, root, piece.chunk, whole, download.expected_hash(piece.chunk))]

    def verified(self, peer: PeerId, root: bytes, chunk: int, ok: bool, now: float) -> Update | None:
        """A chunk was hashed.  Returns the update if that was its last.  Raises BadChunk."""
        inbox = self.inboxes.get(peer)
        download = inbox.download if inbox is not None else None
        if inbox is None or download is None or download.offer.manifest.root != root:
            return None
        download.hashed(chunk, ok)
        if not download.is_complete:
            return None
        update = Update(download.offer.manifest, download.buffer.toreadonly())
        inbox.download, inbox.fetch_s = None, now - download.started_at
        inbox.tip = update.manifest.state
        if update.manifest.kind == "snapshot":
            inbox.pending.clear()
        inbox.pending.append(update)
        return update

    def refused(self, peer: PeerId, transfer: int, refuse: Refuse, link: int, now: float) -> list[Effect]:
        """They cannot send what I wanted: go round it with a snapshot."""
        inbox = self.inboxes.get(peer)
        if inbox is None or inbox.download is None or inbox.download.transfer != transfer:
            return []
        story = Story("<", f"{peer.short} refused update: {refuse.reason}")
        inbox.download = None
        inbox.offers.clear()
        return [story, *self._ask_snapshot(inbox, link, now)]

    def cut(self, peer: PeerId, link: int) -> None:
        """The link is gone; what was verified stays."""
        self._snapshot_for.discard(link)
        inbox = self.inboxes.get(peer)
        if inbox is not None:
            inbox.asked_at = None
            if inbox.download is not None and inbox.link == link:
                inbox.download.cut()

    def take(self, peer: PeerId, round_max: int | None) -> tuple[Update, ...]:
        """The pending updates up to and including `round_max`, oldest first; all of them if None or if none is so old.

        What a faster neighbor published ahead of my round waits for it, so that nobody's future is mixed into my past;
        a neighbor whose rounds are all ahead of mine counts differently, and its newest model is what there is.
        """
        pending = self.inboxes[peer].pending
        due = [update for update in pending if round_max is None or update.manifest.round <= round_max] or list(pending)
        for _ in due:
            pending.popleft()
        return tuple(due)

    def unusable(self, peer: PeerId) -> None:
        """Its public model can no longer be followed: start from a snapshot."""
        if peer in self.inboxes:
            self.inboxes[peer] = Inbox(tip=b"")

    def look_after(self, peer: PeerId, link: int, now: float) -> list[Effect]:
        """Fetch what had no room before; give up a download that crawls and a snapshot that never came."""
        inbox = self.inboxes[peer]
        if inbox.asked_at is not None and now - inbox.asked_at > _SNAPSHOT_PATIENCE_S:
            inbox.asked_at = None
        download = inbox.download
        if download is None or now - download.started_at < 60.0 + download.offer.manifest.size / _PROMPT_BYTES_PER_S:
            return self.fetch(peer, link, now) if inbox.asked_at is None else []
        inbox.download = None
        inbox.offers.clear()
        self._cancelled.append((link, download.transfer))
        story = Story("!", f"{peer.short} announced {download.offer.manifest.size} bytes and does not send them")
        return [story, Send(link, Cancel(), download.transfer)]

    def newest_round(self, peer: PeerId) -> int | None:
        """The round that `peer` claims for the newest update I have heard of."""
        seen = self._seen.get(peer)
        return seen[1].document.round if seen is not None and seen[1] is not None else None

    def is_owed(self, peer: PeerId) -> bool:
        """Is something of `peer` announced and not here yet?"""
        inbox = self.inboxes.get(peer)
        return inbox is not None and (inbox.download is not None or bool(inbox.offers) or inbox.asked_at is not None)

    @property
    def reserved_bytes(self) -> int:
        """Memory that downloads and pending updates hold."""
        downloads = sum(len(i.download.buffer) for i in self.inboxes.values() if i.download is not None)
        return downloads + sum(len(update.data) for i in self.inboxes.values() for update in i.pending)

    def _check(self, peer: PeerId, signed: Signed[Manifest], hashes: bytes, round_: int | None) -> None:
        manifest = signed.document
        if signed.signer != peer:
            raise WrongUpdate(f"announces an update signed by {signed.signer.short}")
        if manifest.federation != self._federation.fingerprint:
            raise WrongUpdate("an update of another federation")
        if manifest.spec != self.vectors.spec:
            raise WrongUpdate("an update of another parameter vector")
        is_snapshot = manifest.kind == "snapshot"
        if not is_snapshot and manifest.codec != self._federation.codec:
            raise WrongUpdate(f"codec {manifest.codec!r} instead of {self._federation.codec!r}")
        size = self.vectors.snapshot_bytes if is_snapshot else self.vectors.delta_bytes
        if manifest.size != size or size > self._limits.update_bytes_max:
            raise WrongUpdate(f"a {manifest.kind} of {manifest.size} bytes; it must have {size}")
        if round_ is not None and abs(manifest.round - round_) > self._limits.round_window:
            raise Replay(f"round {manifest.round} is not of this time; mine is {round_}")
        check_hashes(manifest, hashes)

    def _note(self, signed: Signed[Manifest]) -> bool:
        """Is this manifest new?  False if it was said before.  Raises Replay or Equivocation."""
        manifest = signed.document
        sequence, held = self._seen.get(signed.signer, (-1, None))
        if manifest.sequence > sequence:
            self._seen[signed.signer] = (manifest.sequence, signed)
            return True
        if manifest.sequence < sequence:
            raise Replay(f"sequence {manifest.sequence} after {sequence}")
        if held is None:                                         # known only by number, from before my restart
            self._seen[signed.signer] = (sequence, signed)
            return True
        if held.document.root != manifest.root:
            raise Equivocation(f"two updates with sequence {sequence} and different roots")
        return False

    def proof(self, announce: Announce) -> list[KeepProof]:
        """Both halves of an equivocation, to be kept."""
        signed = open_manifest(announce.manifest)
        held = self._seen[signed.signer][1]
        return [KeepProof(held.envelope, signed.envelope)] if held is not None else []

    def _begin(self, inbox: Inbox, link: int, now: float) -> list[Effect]:
        """Start the next download if there is one that fits, or ask for a snapshot over a gap."""
        snapshot = next((o for o in inbox.offers if o.manifest.kind == "snapshot"), None)
        offer = snapshot or next((o for o in inbox.offers if o.manifest.base == inbox.tip), None)
        if offer is None:
            is_gap = bool(inbox.offers) and len(inbox.pending) < self._limits.pending_updates_max
            return self._ask_snapshot(inbox, link, now) if is_gap else []
        if offer is not snapshot and len(inbox.pending) >= self._limits.pending_updates_max:
            return []
        reserved = self.reserved_bytes
        if reserved and reserved + offer.manifest.size > self._limits.receive_bytes_max:
            return []                                            # asked again when something was mixed
        while inbox.offers and inbox.offers[0] is not offer:
            inbox.offers.popleft()
        inbox.offers.popleft()
        self._transfers += 1
        inbox.download = Download(offer, self._transfers % 2**32, now)
        return []

    def _ask_snapshot(self, inbox: Inbox, link: int, now: float) -> list[Effect]:
        if inbox.asked_at is not None:
            return []
        inbox.asked_at = now
        return [Send(link, AskSnapshot())]
