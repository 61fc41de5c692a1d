"""What a simulated machine keeps over a crash: the answers of node/store.py and of the checkpoint, without files.

What a daemon writes lies in the hands of its keeping thread for a moment (node/keeper.py); a crash loses that.  Only
the count of starts is on the disk before anything is signed.  tests/scenario/virtual/test_disk.py holds this against
the real store, operation by operation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gossipfl.identity import PeerId
from gossipfl.node.store import (
    MANIFESTS_PER_SIGNER_MAX,
    RECORDS_MAX,
    SIGNERS_MAX,
    RoundRow,
)
from gossipfl.protocol.events import KeepManifest, KeepRecord
from gossipfl.protocol.proofs import PROOFS_MAX
from gossipfl.protocol.trust import TRUST_MAX
from gossipfl.scenario.virtual.agenda import Agenda

WRITE_S = 0.005                                 # from the wish to the disk
Saved = tuple[dict[str, np.ndarray], dict[str, str]]


class Disk:
    """One machine's state directory."""

    def __init__(self) -> None:
        self.boots = 0
        self.checkpoint: Saved | None = None
        self.rounds: dict[int, RoundRow] = {}
        self._records: OrderedDict[PeerId, tuple[int, bytes]] = OrderedDict()       # oldest put first
        self._signers: OrderedDict[PeerId, int] = OrderedDict()                     # -> highest sequence put
        self._manifests: dict[PeerId, dict[int, bytes]] = {}
        self._proofs: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()
        self._trust: OrderedDict[PeerId, tuple[float, int]] = OrderedDict()         # the last put at the end

    def begin_boot(self) -> int:
        self.boots += 1
        return self.boots

    def put_record(self, peer: PeerId, sequence: int, envelope: bytes) -> None:
        known = self._records.get(peer)
        if known is None or known[0] < sequence:
            self._records.pop(peer, None)
            self._records[peer] = (sequence, envelope)
            if len(self._records) > RECORDS_MAX:
                self._records.popitem(last=False)

    def drop_records(self, peers: Iterable[PeerId]) -> None:
        for peer in peers:
            self._records.pop(peer, None)

    def records(self) -> list[bytes]:
        """The last put first."""
        return [envelope for _, envelope in reversed(self._records.values())]

    def put_manifest(self, signer: PeerId, sequence: int, envelope: bytes) -> None:
        highest = max(self._signers.pop(signer, 0), sequence)
        self._signers[signer] = highest
        kept = self._manifests.setdefault(signer, {})
        kept.setdefault(sequence, envelope)
        if len(kept) > MANIFESTS_PER_SIGNER_MAX:
            del kept[min(kept)]
        if len(self._signers) > SIGNERS_MAX:
            self._manifests.pop(self._signers.popitem(last=False)[0])

    def manifests(self, signer: PeerId) -> list[bytes]:
        return [envelope for _, envelope in sorted(self._manifests.get(signer, {}).items())]

    def last_sequences(self) -> dict[PeerId, int]:
        return dict(self._signers)

    def put_proof(self, first: bytes, second: bytes) -> None:
        pair = (min(first, second), max(first, second))
        self._proofs.setdefault(pair, None)
        if len(self._proofs) > PROOFS_MAX:
            self._proofs.popitem(last=False)

    def put_trust(self, rows: Iterable[tuple[PeerId, float, int]]) -> None:
        for peer, score, round_ in rows:
            self._trust.pop(peer, None)
            self._trust[peer] = (score, round_)
        while len(self._trust) > TRUST_MAX:
            self._trust.popitem(last=False)

    def trust(self) -> list[tuple[PeerId, float, int]]:
        return [(peer, *row) for peer, row in self._trust.items()]

    def proofs(self) -> list[tuple[bytes, bytes]]:
        return list(self._proofs)


class Keeper:
    """The writes of one start of one machine: each is done WRITE_S later, unless the process is dead by then."""

    def __init__(self, agenda: Agenda, disk: Disk) -> None:
        self._agenda, self._disk = agenda, disk
        self._waiting: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._is_dead = False

    def keep(self, put: Callable[..., None], *values: Any) -> None:
        """Call ``put(*values)`` when the disk has turned."""
        self._waiting.append((put, values))
        if len(self._waiting) == 1:
            self._agenda.after(WRITE_S, self._write)

    def record(self, effect: KeepRecord) -> None:
        record = effect.record
        self.keep(self._disk.put_record, record.signer, record.document.sequence, record.envelope)

    def manifest(self, effect: KeepManifest) -> None:
        signed = effect.manifest
        self.keep(self._disk.put_manifest, signed.signer, signed.document.sequence, signed.envelope)

    @property
    def under_way(self) -> int:
        """Writes that a crash would lose."""
        return len(self._waiting)

    def settle(self) -> None:
        """An orderly end: all that waits is written."""
        self._write()

    def crash(self) -> None:
        self._is_dead = True
        self._waiting.clear()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        for put, values in waiting:
            put(*values)
