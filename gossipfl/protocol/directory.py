"""Every signed peer record, held alike by all peers.

A record says where its signer can be reached and who it averages with; sequences never go back, so the newest wins.
News travels eagerly to a few links, and anti-entropy mends what news missed: sixteen bucket hashes, then a summary of
the buckets that differ, then the records themselves.  So a newcomer learns everybody from anybody, and any one peer can
show the whole topology: an edge counts where both ends claim it.

Records of peers that are gone do not stay: an owner signs its own again a few times in a record's life, and one whose
sequence has not risen for so long is dropped, unless its peer is linked.  What was dropped is not taken back from
others, or it would go round for ever; only a higher sequence is, or the peer itself.  No record says when it was
signed, so each peer counts for itself how long it has not risen, and only while it hears anybody at all.

A record that names neither an address nor a neighbor is a *visitor's*: it adds nothing to the picture, so nobody keeps
it or passes it on, and whoever only came to look leaves no trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

from gossipfl.config import KIB, LimitsConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import Identity, PeerId
from gossipfl.protocol.events import Dice, DropRecord, Effect, KeepRecord, Send, Story
from gossipfl.wire.manifest import PeerRecord, Signed, open_record, sign_record
from gossipfl.wire.messages import Digest, Records, Summary

Claims = Mapping[PeerId, Collection[bytes]]           # of each peer, whom it names as its neighbors
Edges = list[tuple[PeerId, PeerId]]

_BUCKETS = 16
_NAMED_MAX = 8                       # in one line of the log
_RECORDS_PER_MESSAGE = 64
_MESSAGE_BYTES = 48 * KIB            # of envelopes in one message: records of any allowed size fit a frame
_ENTRIES_PER_SUMMARY = 1024
_NEWS_FANOUT = 3                     # links that hear of a new record at once; anti-entropy reaches the rest
_NEWS_DELAY_S = 0.1                  # news is gathered for so long
_OWN_DELAY_S = 0.3                   # my own record waits for my neighborhood to settle
_SIGNED_PER_LIFE = 4                 # so often an owner signs its record again ...
_SILENT_SHARE = 0.5                  # ... so whose has not risen for such a share of a life makes room for a newcomer


class WrongFederation(PeerError):
    """A record of a federation that is not ours."""


class Directory:
    """The records of all peers, mine included."""

    def __init__(
        self, identity: Identity, federation: Federation, boot: bytes, limits: LimitsConfig, dice: Dice
    ) -> None:
        self._identity, self._federation, self._boot = identity, federation, boot
        self._limits, self._dice = limits, dice
        self.me = identity.peer_id
        self.records: dict[PeerId, Signed[PeerRecord]] = {}
        self._news: dict[PeerId, int | None] = {}        # peer -> link that told me, None if I know it first hand
        self._own_due = float("inf")
        self._news_due = float("inf")
        self._told_full = False
        self._lived_s = 0.0                              # for so long I could have heard of anybody
        self._aged_at = float("inf")
        self._rose: dict[PeerId, float] = {}             # -> _lived_s when its sequence rose last; longest ago first
        self._dropped: dict[PeerId, Signed[PeerRecord]] = {}         # nor older ones are taken back; longest ago first

    @property
    def due(self) -> float:
        return min(self._own_due, self._news_due)

    @property
    def others(self) -> list[PeerId]:
        return [peer for peer in self.records if peer != self.me]

    def is_visitor(self, peer: PeerId) -> bool:
        """Whether a linked peer only visits: its HELLO offered its record, and there was room for it."""
        return peer not in self.records and not self._is_full

    def write_own(self, sequence: int, addresses: tuple[str, ...], neighbors: Iterable[PeerId], round_: int) -> Effect:
        """Sign a new record of mine and put it among the news."""
        record = PeerRecord(
            federation=self._federation.fingerprint, sequence=sequence, boot=self._boot, addresses=addresses[:16],
            neighbors=tuple(sorted(bytes(peer) for peer in neighbors))[:64], round=round_,
        )  # fmt: skip
        signed = self.records[self.me] = sign_record(self._identity, record)
        self._rises(self.me)
        self._own_due = float("inf")
        self._news[self.me], self._news_due = None, 0.0
        return KeepRecord(signed)

    def own_changed(self, now: float) -> None:
        """My neighbors changed: write my record again, but not for each of them."""
        self._own_due = min(self._own_due, now + _OWN_DELAY_S)

    def own_is_due(self, now: float) -> bool:
        return now >= self._own_due

    @property
    def own_pends(self) -> bool:
        """Whether my record is of an earlier neighborhood."""
        return self._own_due < float("inf")

    def age(self, linked: Collection[PeerId], now: float, seconds_max: float) -> list[Effect]:
        """Time has passed, at most `seconds_max` of which I was awake: drop who is long silent, sign mine again."""
        passed, self._aged_at = now - self._aged_at, now
        if not linked:
            return []                                    # it is me who is cut off
        self._lived_s += min(max(passed, 0.0), seconds_max)
        if self._silent_s(self.me) >= self._limits.record_life_s / _SIGNED_PER_LIFE:
            self.own_changed(now)
        gone = []
        for peer in self._rose:
            if self._silent_s(peer) <= self._limits.record_life_s:
                break
            if peer != self.me and peer not in linked:
                gone.append(peer)
        if not gone:
            return []
        named = ", ".join(peer.short for peer in gone[:_NAMED_MAX])
        more = f" and {len(gone) - _NAMED_MAX} more" if len(gone) > _NAMED_MAX else ""
        story = Story("=", f"nothing new of {named}{more} for {self._limits.record_life_s:.0f} s: forgotten")
        return [story, *(self._drop(peer) for peer in gone)]

    def is_here(self, peer: PeerId) -> bytes | None:
        """`peer` itself has a link with me: its record counts again, though it was dropped.  Returns that, if so."""
        dropped = self._dropped.pop(peer, None)
        return dropped.envelope if dropped is not None else None

    def offer(self, envelope: bytes, source: int | None, now: float, linked: Collection[PeerId] = ()) -> list[Effect]:
        """Take a record that a peer sent, unless it names nothing.  Raises PeerError if it does not verify.

        What I hold already is recognised by its bytes, before the cost of a signature.
        """
        signer = envelope[:32]
        held = self.records.get(signer) if len(signer) == 32 else None       # type: ignore[call-overload]
        if held is not None and held.envelope == envelope:
            return []
        signed = open_record(envelope, self._limits.record_bytes_max)
        if signed.document.federation != self._federation.fingerprint:
            raise WrongFederation(f"{signed.signer.short}'s record names another federation")
        # Nor does one that names nothing replace an older record: then all directories would not be alike, and a peer
        # that cannot be called for a moment is better remembered where it was.
        is_old = held is not None and held.document.sequence >= signed.document.sequence
        dropped = self._dropped.get(signed.signer)
        was_dropped = dropped is not None and dropped.document.sequence >= signed.document.sequence
        if is_old or was_dropped or names_nothing(signed.document):
            return []
        if held is not None or not self._is_full:
            return self._take(signed, source, now)
        silent = self._longest_silent(linked)
        return [self._drop(silent), *self._take(signed, source, now)] if silent is not None else self._leave_out()

    @property
    def _is_full(self) -> bool:
        return len(self.records) >= self._limits.directory_records_max

    def _longest_silent(self, linked: Collection[PeerId]) -> PeerId | None:
        """Who makes room: nobody who is linked, or whom a linked peer averages with, or whom I heard of lately."""
        spared: set[PeerId] | None = None                # worked out only where somebody is silent
        for peer in self._rose:
            if self._silent_s(peer) < _SILENT_SHARE * self._limits.record_life_s:
                return None
            if spared is None:
                spared = {self.me, *linked, *(other for one in linked for other in self._averaging_with(one))}
            if peer not in spared:
                return peer
        return None

    def _averaging_with(self, peer: PeerId) -> list[PeerId]:
        """Whom it names that names it."""
        signed = self.records.get(peer)
        named = signed.document.neighbors if signed is not None else ()
        others = [self.records[other] for other in named if other in self.records]     # type: ignore[index]
        return [other.signer for other in others if peer in other.document.neighbors]

    def _silent_s(self, peer: PeerId) -> float:
        return self._lived_s - self._rose[peer]

    def _rises(self, peer: PeerId) -> None:
        self._rose.pop(peer, None)
        self._rose[peer] = self._lived_s

    def _drop(self, peer: PeerId) -> DropRecord:
        self._dropped.pop(peer, None)
        self._dropped[peer] = self.records.pop(peer)
        if len(self._dropped) > self._limits.directory_records_max:
            del self._dropped[next(iter(self._dropped))]
        del self._rose[peer]
        self._news.pop(peer, None)
        self._told_full = False
        return DropRecord(peer)

    def _leave_out(self) -> list[Effect]:
        if self._told_full:
            return []
        self._told_full = True
        return [Story("!", f"the directory is full with {len(self.records)} peers; more are left out", loud=True)]

    def own_sequence_elsewhere(self, envelope: bytes) -> int | None:
        """The sequence of a record of mine that I do not remember writing.  Raises PeerError if it is not mine."""
        mine = self.records.get(self.me)
        if mine is None or envelope == mine.envelope:
            return None
        sequence = open_record(envelope, self._limits.record_bytes_max).document.sequence
        return sequence if sequence >= mine.document.sequence else None

    def spread(self, links: list[int], now: float) -> list[Effect]:
        """Send the gathered news: mine to every link, others' to a few."""
        if now < self._news_due:
            return []
        effects: list[Effect] = []
        few = self._dice.sample(links, min(_NEWS_FANOUT, len(links)))
        for link in links:
            heard = [
                self.records[peer].envelope for peer, source in self._news.items()
                if source != link and (peer == self.me or link in few)
            ]  # fmt: skip
            effects += _in_messages(link, heard)
        self._news.clear()
        self._news_due = float("inf")
        return effects

    def digest(self) -> Digest:
        return Digest(buckets=tuple(self._bucket_hash(bucket) for bucket in range(_BUCKETS)))

    def compare(self, link: int, digest: Digest) -> list[Effect]:
        """Summaries of the buckets in which `digest` differs from mine."""
        return [
            Send(link, self._summary(bucket, answer=False))
            for bucket, theirs in enumerate(digest.buckets)
            if theirs != self._bucket_hash(bucket)
        ]

    def reconcile(self, link: int, summary: Summary) -> list[Effect]:
        """Send what they lack; say what I hold if I lack something too."""
        theirs = dict(summary.entries)
        mine = {peer: self.records[peer].document.sequence for peer in self._bucket(summary.bucket)}
        they_lack = [self.records[peer].envelope for peer, sequence in mine.items() if theirs.get(peer, -1) < sequence]
        had = {peer: dropped.document.sequence for peer, dropped in self._dropped.items()} | mine
        i_lack = any(had.get(peer, -1) < sequence for peer, sequence in theirs.items())    # type: ignore[call-overload]
        effects = _in_messages(link, they_lack)
        if i_lack and not summary.answer:
            effects.append(Send(link, self._summary(summary.bucket, answer=True)))
        return effects

    def echo(self) -> Summary:
        """A visitor's question that is always answered by a summary, behind all that it asked for before.

        It names my own record, which nobody else keeps while I only visit.
        """
        bucket = self.me[0] % _BUCKETS
        entries = (self._entry(self.me), *(self._entry(peer) for peer in self._bucket(bucket) if peer != self.me))
        return Summary(bucket=bucket, entries=entries[:_ENTRIES_PER_SUMMARY])

    def claims(self) -> Claims:
        """Who names whom, as it is now: taken down at once, where to work out the edges of thousands takes a while."""
        return {peer: signed.document.neighbors for peer, signed in self.records.items()}

    def edges(self) -> tuple[Edges, Edges]:
        """Edges that both ends claim, and those that only one does."""
        return edges_of(self.claims())

    def _take(self, signed: Signed[PeerRecord], source: int | None, now: float) -> list[Effect]:
        self.records[signed.signer] = signed
        self._rises(signed.signer)
        self._news[signed.signer] = source
        self._news_due = min(self._news_due, now + _NEWS_DELAY_S)
        return [KeepRecord(signed)]

    def _bucket(self, bucket: int) -> list[PeerId]:
        # An Ed25519 key is uniform enough in its first byte; liars who grind theirs only lengthen one summary.
        inside = [peer for peer in self.records if peer[0] % _BUCKETS == bucket and not self._is_me_visiting(peer)]
        return sorted(inside)[:_ENTRIES_PER_SUMMARY]

    def _is_me_visiting(self, peer: PeerId) -> bool:
        """Mine is the one record here that may name nothing, and then nobody else has it."""
        return peer == self.me and names_nothing(self.records[peer].document)

    def _bucket_hash(self, bucket: int) -> bytes:
        held = ((peer, self.records[peer].document.sequence) for peer in self._bucket(bucket))
        content = b"".join(peer + sequence.to_bytes(8, "big") for peer, sequence in held)
        return hashlib.sha256(b"gossipfl/1/bucket\0" + content).digest()

    def _summary(self, bucket: int, *, answer: bool) -> Summary:
        entries = tuple(self._entry(peer) for peer in self._bucket(bucket))
        return Summary(bucket=bucket, entries=entries, answer=answer)

    def _entry(self, peer: PeerId) -> tuple[bytes, int]:
        return bytes(peer), self.records[peer].document.sequence


def edges_of(claims: Claims) -> tuple[Edges, Edges]:
    """Edges that both ends claim, and those that only one does, each sorted."""
    known = {bytes(peer): peer for peer in claims}       # a claimed key that signed nothing may be none
    named = {peer: frozenset(others) for peer, others in claims.items()}
    both: Edges = []
    one: Edges = []
    for peer in sorted(claims):
        for other in sorted(known.keys() & named[peer]):
            if peer not in named[known[other]]:
                one.append((peer, known[other]))
            elif peer < other:
                both.append((peer, known[other]))
    return both, one


def names_nothing(record: PeerRecord) -> bool:
    """Whether `record` is a visitor's: its signer can neither be called nor averages with anybody."""
    return not record.addresses and not record.neighbors


def _in_messages(link: int, envelopes: list[bytes]) -> list[Effect]:
    """As few messages as their bounds allow."""
    batches: list[list[bytes]] = []
    size = 0
    for envelope in envelopes:
        if not batches or len(batches[-1]) >= _RECORDS_PER_MESSAGE or size + len(envelope) > _MESSAGE_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(envelope)
        size += len(envelope)
    return [Send(link, Records(envelopes=tuple(batch))) for batch in batches]
