"""What peers have signed: may this manifest be an update of ours, is it new, and does it contradict an earlier one?

The newest manifest of each signer and kind is kept, deltas and snapshots apart: a neighbor says its newest delta again
when we meet again, and may have signed a snapshot since.  What is done with a manifest that holds is fetching.py's
matter; who hears of a contradiction membership.py's.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gossipfl.config import LimitsConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import PeerId
from gossipfl.protocol.setup import start_of_boot
from gossipfl.wire.manifest import Manifest, Signed, check_hashes, next_state, open_manifest, vector_spec

KINDS = ("delta", "snapshot")


class WrongUpdate(PeerError):
    """A manifest that cannot be an update of this federation's model."""


class Replay(PeerError):
    """A manifest older than one already seen from its signer."""


class Equivocation(PeerError):
    """Two manifests of one signer with one sequence and different roots: proof of lying."""

    def __init__(self, first: Signed[Manifest], second: Signed[Manifest]) -> None:
        self.first, self.second = first.envelope, second.envelope
        super().__init__(f"two updates with sequence {first.document.sequence} and different roots")


@dataclass(frozen=True, slots=True)
class Vectors:
    """What an update of this federation looks like, known once the learner is built."""

    spec: bytes
    delta_bytes: int
    snapshot_bytes: int


class Ledger:
    """The manifests of all signers, as far as they still matter."""

    def __init__(self, federation: Federation, limits: LimitsConfig, sequences: dict[PeerId, int]) -> None:
        """sequences: the highest seen of each signer before my restart, of deltas and snapshots alike."""
        self._federation, self._limits, self._before = federation, limits, sequences
        self._vectors: Vectors | None = None
        self._newest: OrderedDict[tuple[PeerId, str], Signed[Manifest]] = OrderedDict()

    def ready(self, size: int, delta_bytes: int) -> None:
        """My learner is built: vectors have `size` numbers."""
        self._vectors = Vectors(vector_spec(self._federation.terms, size), delta_bytes, 4 * size)

    @property
    def is_ready(self) -> bool:
        return self._vectors is not None

    @property
    def vectors(self) -> Vectors:
        assert self._vectors is not None, "nothing is signed or believed before the learner is built"
        return self._vectors

    def check(self, peer: PeerId, signed: Signed[Manifest], hashes: bytes) -> None:
        """Raises PeerError unless this is an update that `peer` may announce.

        Whatever round it claims: who slept, was cut off or trained alone comes back from another time, and what round
        it really is the median of all neighbors says (round.py).
        """
        manifest = signed.document
        if signed.signer != peer:
            raise WrongUpdate(f"announces an update signed by {signed.signer.short}")
        if manifest.federation != self._federation.fingerprint:
            raise WrongUpdate("an update of another federation")
        if manifest.spec != self.vectors.spec:
            raise WrongUpdate("an update of another parameter vector")
        self._check_payload(manifest)
        check_hashes(manifest, hashes)

    def _check_payload(self, manifest: Manifest) -> None:
        is_snapshot = manifest.kind == "snapshot"
        if not is_snapshot and manifest.codec != self._federation.codec:
            raise WrongUpdate(f"codec {manifest.codec!r} instead of {self._federation.codec!r}")
        size = self.vectors.snapshot_bytes if is_snapshot else self.vectors.delta_bytes
        if manifest.size != size or size > self._limits.update_bytes_max:
            raise WrongUpdate(f"a {manifest.kind} of {manifest.size} bytes; it must have {size}")
        state = manifest.base if is_snapshot else next_state(manifest.base, manifest.root)
        if manifest.state != state:
            raise WrongUpdate(f"a {manifest.kind} whose state does not follow from its base")

    def note(self, signed: Signed[Manifest]) -> bool:
        """Remember a manifest.  Returns whether it is new.  Raises Replay or Equivocation."""
        signer, manifest = signed.signer, signed.document
        for other in (self._newest.get((signer, kind)) for kind in KINDS):
            if other is not None and _contradict(other.document, manifest):
                raise Equivocation(other, signed)
        held = self._newest.get((signer, manifest.kind))
        # What I remember from before my restart is one number for both kinds, so only its start binds.
        lowest = held.document.sequence if held is not None else start_of_boot(self._before.get(signer, 0))
        if manifest.sequence < lowest:
            raise Replay(f"sequence {manifest.sequence} after {lowest}")
        if held is not None and held.document.sequence == manifest.sequence:
            return False
        self._newest[signer, manifest.kind] = signed
        self._newest.move_to_end((signer, manifest.kind))
        if len(self._newest) > self._limits.directory_records_max:
            self._newest.popitem(last=False)
        return True

    def compare(self, envelope: bytes) -> None:
        """A manifest as somebody else heard it.  Raises Equivocation, or PeerError if nobody can have heard it so.

        Only what I hold of its signer can contradict it, so nothing else is even verified.
        """
        signer = envelope[:32]
        held = [one for kind in KINDS if (one := self._newest.get((signer, kind)))]           # type: ignore[arg-type]
        if not held or any(one.envelope == envelope for one in held):
            return
        told = open_manifest(envelope)
        for one in held:
            if told.document.federation == self._federation.fingerprint and _contradict(one.document, told.document):
                raise Equivocation(one, told)

    def newest(self, peer: PeerId) -> bytes | None:
        """The envelope of the newest delta that I have heard of from `peer`."""
        held = self._newest.get((peer, "delta"))
        return held.envelope if held is not None else None

    def newest_round(self, peer: PeerId) -> int | None:
        """The round that `peer` claims for the newest delta I have heard of."""
        held = self._newest.get((peer, "delta"))
        return held.document.round if held is not None else None


def _contradict(one: Manifest, other: Manifest) -> bool:
    return one.sequence == other.sequence and one.root != other.root
