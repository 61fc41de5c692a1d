"""Updates in: nobody can make me hold a byte that I did not ask for.

    (their ANNOUNCE) -> WANT -> chunks -> verify -> pending -> mixed

For each neighbor there is one chain of states: what I hold of it (or will, when what is pending is mixed) is the *tip*,
and only a delta that starts there is fetched.  Where the chain has a gap - a newcomer, a cut, a fast neighbor - I ask
for a snapshot instead.  Pending updates are bounded, so a neighbor that publishes faster than I mix costs me no more
bytes than my own pace; what waited too long is skipped over by a snapshot.  A neighbor that is gone for a moment is not
forgotten: it goes on where its link was cut.  The mirror of this is serving.py; what a manifest must be, ledger.py.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from statistics import median

from gossipfl.config import LimitsConfig
from gossipfl.identity import PeerId
from gossipfl.protocol.downloads import Announced, Download, Unsolicited
from gossipfl.protocol.events import Effect, Forget, KeepManifest, Send, Story, Update, VerifyChunk
from gossipfl.protocol.ledger import Ledger
from gossipfl.wire.chunks import parse_piece
from gossipfl.wire.manifest import Manifest, open_manifest
from gossipfl.wire.messages import Announce, AskSnapshot, Cancel, Refuse, Want
from gossipfl.wire.records import Frame

_SNAPSHOT_PATIENCE_S = 15.0          # a snapshot that was asked for and did not come is asked for again
_CANCELLED_MAX = 64                  # cancelled transfers whose last chunks may still arrive
_SILENT_S = 60.0                     # a download of which nothing came for so long is given up
_PROMPT_BYTES_PER_S = 1e6            # where another lacks memory, one that is slower than this is given up, too
_STILL_S = 5.0                       # guess: a download of which nothing came for so long is not hoped for any more
_ABSENT_MAX, _ABSENT_S = 4, 120.0    # parted neighbors whose inbox and public model are kept, and how long
_NOTHING = b""                       # the tip of a neighbor whose public model I could not follow


@dataclass(slots=True)
class Inbox:
    """What one neighbor offers, what is on its way from it, and what waits for my mixing."""

    tip: bytes                                                       # state after all that is pending
    offers: deque[Announced] = field(default_factory=deque)          # oldest first
    download: Download | None = None
    pending: deque[Update] = field(default_factory=deque)
    asked_at: float | None = None                                    # when a snapshot was asked for ...
    asked_link: int | None = None                                    # ... and over which link
    early: Announce | None = None                                    # came before my learner was built
    fetch_s: float = 0.0                                             # how long the last payload took
    link: int | None = None                                          # over which the download is asked for
    kept_until: float = 0.0                                          # while it is absent

    @property
    def held_bytes(self) -> int:
        coming = len(self.download.buffer) if self.download is not None else 0
        return coming + sum(len(update.data) for update in self.pending)

    @property
    def is_owed(self) -> bool:
        """Is something announced and not here yet?"""
        return self.download is not None or bool(self.offers) or self.asked_at is not None

    def is_full(self, pending_max: int) -> bool:
        """Can nothing more come before something of it is mixed?  Only a snapshot needs no place."""
        coming = self.download is not None or self.asked_at is not None
        return len(self.pending) >= pending_max and not coming and all(o.manifest.kind == "delta" for o in self.offers)

    @property
    def hopeless_at(self) -> float:
        """When a download that stands still, or a snapshot that was asked for, is not worth waiting for any more."""
        since = self.download.moved_at if self.download is not None else self.asked_at
        return since + _STILL_S if since is not None else float("inf")

    def knows(self, manifest: Manifest) -> bool:
        """Is the state to which it leads here, on its way or, for a delta, on offer?  A snapshot leads over a gap."""
        coming = self.download is not None and self.download.offer.manifest.state == manifest.state
        here = manifest.state == self.tip and not self._is_led_back(manifest)
        offered = manifest.kind == "delta" and any(offer.manifest.state == manifest.state for offer in self.offers)
        return here or coming or offered

    def _is_led_back(self, manifest: Manifest) -> bool:
        """Is an older snapshot on its way?  Its signer lost what it did since, and may do it again bit for bit."""
        coming = self.download.offer.manifest if self.download is not None else None
        return coming is not None and coming.kind == "snapshot" and coming.sequence < manifest.sequence

    def offer(self, offer: Announced, offers_max: int) -> None:
        if offer.manifest.kind == "snapshot":
            later = (held for held in self.offers if held.manifest.sequence > offer.manifest.sequence)
            self.offers = deque([offer, *later])
        else:
            self.offers.append(offer)
        while len(self.offers) > offers_max:
            self.offers.popleft()

    def arrived(self, update: Update) -> None:
        """Every byte of `update` is here."""
        if update.manifest.kind == "snapshot":
            self.pending.clear()
        self.pending.append(update)
        self.tip = update.manifest.state
        # A snapshot may already hold deltas that were announced after it.
        passed = [n for n, offer in enumerate(self.offers, 1) if offer.manifest.state == self.tip]
        self.offers = deque(list(self.offers)[passed[-1] :]) if passed else self.offers


class Fetching:
    """An inbox per neighbor."""

    def __init__(self, ledger: Ledger, limits: LimitsConfig, genesis: bytes) -> None:
        self._ledger, self._limits, self._genesis = ledger, limits, genesis
        self._transfers = 0
        self._cancelled: deque[tuple[int, int]] = deque(maxlen=_CANCELLED_MAX)      # link, transfer
        self.inboxes: dict[PeerId, Inbox] = {}
        self._absent: OrderedDict[PeerId, Inbox] = OrderedDict()
        self.fetch_s = 0.0                                           # how long a payload takes: median of neighbors

    # ------------------------------------------------------------------------------------------ neighbors

    def add(self, peer: PeerId) -> None:
        """A neighbor.  Unless I know better its public model is the federation's initial one."""
        if peer not in self.inboxes:
            self.inboxes[peer] = self._absent.pop(peer) if peer in self._absent else Inbox(self._genesis)
            self._time_fetches()

    def remove(self, peer: PeerId, now: float) -> list[Effect]:
        """No neighbor any more, perhaps only for a moment.  Who was gone longest before it is forgotten."""
        inbox = self.inboxes.pop(peer, None)
        if inbox is None:
            return []
        effects = self._release(inbox)
        inbox.asked_at, inbox.kept_until = None, now + _ABSENT_S
        self._absent[peer] = inbox
        self._time_fetches()
        return effects + self.expire(now)

    def expire(self, now: float) -> list[Effect]:
        """Forget who has been gone for too long."""
        gone: list[Effect] = []
        while self._absent:
            peer, inbox = next(iter(self._absent.items()))
            if len(self._absent) <= _ABSENT_MAX and now < inbox.kept_until:
                break
            del self._absent[peer]
            gone.append(Forget(peer))
        return gone

    def cut(self, peer: PeerId, link: int) -> None:
        """The link is gone; what was verified stays."""
        inbox = self.inboxes.get(peer)
        if inbox is not None:
            if inbox.asked_link in (None, link):                 # the end of a duplicate changes nothing
                inbox.asked_at = None
            if inbox.link == link:
                self._release(inbox)

    def unusable(self, peer: PeerId) -> None:
        """Its public model can no longer be followed: start from a snapshot."""
        for inboxes in (self.inboxes, self._absent):
            if peer in inboxes:
                inboxes[peer] = Inbox(_NOTHING, kept_until=inboxes[peer].kept_until)

    # --------------------------------------------------------------------------------------- announcements

    def announced(self, peer: PeerId, link: int, announce: Announce, now: float) -> list[Effect]:
        """A neighbor's ANNOUNCE.  Raises a PeerError for one that breaks the rules."""
        inbox = self.inboxes[peer]
        if not self._ledger.is_ready:
            inbox.early = announce
            return []
        signed = open_manifest(announce.manifest)
        self._ledger.check(peer, signed, announce.hashes)
        effects: list[Effect] = [KeepManifest(signed)] if self._ledger.note(signed) else []
        if signed.document.kind == "snapshot" and inbox.asked_at is None:
            return effects                                       # nobody asked
        if signed.document.kind == "snapshot":
            inbox.asked_at = None
        if not inbox.knows(signed.document):
            inbox.offer(Announced(signed, announce.hashes), self._limits.pending_updates_max + 1)
        return effects + self.fetch(peer, link, now)

    def wake_early(self, peer: PeerId, link: int, now: float) -> list[Effect]:
        """My learner is built: hear what was said before.  Raises PeerError like `announced`."""
        inbox = self.inboxes.get(peer)
        if inbox is None or inbox.early is None:
            return []
        early, inbox.early = inbox.early, None
        return self.announced(peer, link, early, now)

    # ------------------------------------------------------------------------------------------- downloads

    def fetch(self, peer: PeerId, link: int, now: float) -> list[Effect]:
        """Ask for what is next from `peer`: more chunks, the next update, or a snapshot over a gap."""
        inbox = self.inboxes.get(peer)
        if inbox is None:
            return []
        effects = self._begin(inbox, link, now) if inbox.download is None else []
        if inbox.download is None:
            return effects
        download = inbox.download
        if inbox.link != link:                                   # not asked for yet, or over a link that is replaced
            effects += self._release(inbox)
            self._transfers = (self._transfers + 1) % 2**32
            inbox.link, download.transfer = link, self._transfers
            download.started_at = download.moved_at = now
        chunks = download.request(self._limits.window_bytes)
        if chunks:
            effects.append(Send(link, Want(root=download.offer.manifest.root, chunks=chunks), download.transfer))
        return effects

    def chunk(self, peer: PeerId, link: int, frame: Frame, now: float) -> list[Effect]:
        """A CHUNK frame.  Raises Unsolicited or BadChunk."""
        inbox = self.inboxes.get(peer)
        download = inbox.download if inbox is not None and inbox.link == link else None
        if download is None or download.transfer != frame.id:
            if (link, frame.id) in self._cancelled:
                return []
            raise Unsolicited(f"a chunk of transfer {frame.id}, which nobody asked for")
        piece = parse_piece(frame.body)
        whole = download.receive(piece)
        download.moved_at = now
        if whole is None:
            return []
        root = download.offer.manifest.root
        return [VerifyChunk(peer, root, piece.chunk, whole, download.expected_hash(piece.chunk))]

    def verified(self, peer: PeerId, root: bytes, chunk: int, ok: bool, now: float) -> Update | None:
        """A chunk was hashed.  Returns the update if that was its last.  Raises BadChunk."""
        inbox = self.inboxes.get(peer) or self._absent.get(peer)
        download = inbox.download if inbox is not None else None
        if inbox is None or download is None or download.offer.manifest.root != root:
            return None
        download.hashed(chunk, ok)
        if not download.is_complete:
            return None
        inbox.download, inbox.link, inbox.fetch_s = None, None, now - download.started_at
        self._time_fetches()
        update = Update(download.offer.manifest, download.buffer.toreadonly())
        inbox.arrived(update)
        return update

    def refused(self, peer: PeerId, transfer: int, refuse: Refuse, link: int, now: float) -> list[Effect]:
        """They cannot send what I wanted: go round it with a snapshot, or try again later if it was one."""
        inbox = self.inboxes.get(peer)
        download = inbox.download if inbox is not None and inbox.link == link else None
        if inbox is None or download is None or download.transfer != transfer:
            return []
        effects = [Story("<", f"{peer.short} refused update: {refuse.reason}"), *self._give_up(inbox)]
        if download.offer.manifest.kind == "snapshot":
            inbox.asked_at, inbox.asked_link = now, link
            return effects
        return effects + self._ask_snapshot(inbox, link, now)

    def look_after(self, peer: PeerId, link: int, now: float) -> list[Effect]:
        """Fetch what had no room before; give up a download that crawls and a snapshot that never came."""
        inbox = self.inboxes[peer]
        if inbox.asked_at is not None and now - inbox.asked_at > _SNAPSHOT_PATIENCE_S:
            inbox.asked_at = None
            if not inbox.offers:                                 # what showed the gap was given up
                return self._ask_snapshot(inbox, link, now)
        download = inbox.download
        if download is None:
            return self.fetch(peer, link, now) if inbox.asked_at is None else []
        size = download.offer.manifest.size
        if now - download.moved_at >= _SILENT_S:
            return [Story("!", f"{peer.short} announced {size} bytes and does not send them"), *self._give_up(inbox)]
        if download.is_slower(self._limits.download_bytes_per_s_min, now):
            slow = f"{peer.short} sends {size} bytes more slowly than limits.download_bytes_per_s_min"
            return [Story("!", slow, loud=True), *self._give_up(inbox)]
        return self.fetch(peer, link, now)

    # --------------------------------------------------------------------------------------------- mixing

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

    def hope(self, peer: PeerId) -> float | None:
        """Until when what `peer` owes may be hoped for if nothing of it comes; None if it owes nothing.

        Many announce and few never send; but whoever waits for those is made slow at no cost to them.
        In the past if what is here already leaves no place for more before my next mixing.
        """
        inbox = self.inboxes.get(peer)
        if inbox is not None and inbox.is_full(self._limits.pending_updates_max):
            return float("-inf")
        if inbox is None or not inbox.is_owed:
            return None
        return inbox.hopeless_at

    @property
    def reserved_bytes(self) -> int:
        """Memory that downloads and pending updates hold."""
        return sum(inbox.held_bytes for inbox in (*self.inboxes.values(), *self._absent.values()))

    # -------------------------------------------------------------------------------------------- details

    def _begin(self, inbox: Inbox, link: int, now: float) -> list[Effect]:
        """Start the next download if there is one that fits, or ask for a snapshot over a gap."""
        offer = next((o for o in inbox.offers if o.manifest.kind == "snapshot" or o.manifest.base == inbox.tip), None)
        is_full = len(inbox.pending) >= self._limits.pending_updates_max
        if offer is None:
            return self._ask_snapshot(inbox, link, now) if inbox.offers and not is_full else []
        if is_full and offer.manifest.kind == "delta":
            return []
        effects = self._make_room(offer.manifest.size, now)
        if self._lacks_room(offer.manifest.size):
            return effects                                       # asked again when something was mixed
        while inbox.offers.popleft() is not offer:
            pass
        inbox.download, inbox.link = Download(offer, now), None
        return effects

    def _lacks_room(self, size: int) -> bool:
        reserved = self.reserved_bytes
        return bool(reserved) and reserved + size > self._limits.receive_bytes_max

    def _make_room(self, size: int, now: float) -> list[Effect]:
        """Where memory is short, none is kept for those who announced and send nothing or little, nor soon again."""
        effects: list[Effect] = []
        for inbox in (*self.inboxes.values(), *self._absent.values()) if self._lacks_room(size) else ():
            download = inbox.download
            if download and (now >= inbox.hopeless_at or download.is_slower(_PROMPT_BYTES_PER_S, now)):
                effects += self._give_up(inbox)
                inbox.asked_at = now
        return effects

    def _time_fetches(self) -> None:
        times = [inbox.fetch_s for inbox in self.inboxes.values() if inbox.fetch_s]
        self.fetch_s = median(times) if times else 0.0

    def _ask_snapshot(self, inbox: Inbox, link: int, now: float) -> list[Effect]:
        if inbox.asked_at is not None:
            return []
        inbox.asked_at, inbox.asked_link = now, link
        return [Send(link, AskSnapshot())]

    def _give_up(self, inbox: Inbox) -> list[Effect]:
        effects = self._release(inbox)
        inbox.download = None
        inbox.offers.clear()
        return effects

    def _release(self, inbox: Inbox) -> list[Effect]:
        """What is under way is no longer asked for over its link; what of it still arrives is ignored."""
        if inbox.download is None or inbox.link is None:
            return []
        link, transfer, inbox.link = inbox.link, inbox.download.transfer, None
        inbox.download.cut()
        self._cancelled.append((link, transfer))
        return [Send(link, Cancel(), transfer)]
