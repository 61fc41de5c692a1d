"""What a node writes down, in the order in which it happened, without making anybody wait.

Everything goes through one thread, all that waits in one turn of it.  Peer records come in bursts and only the newest
of each peer counts; of checkpoints only the newest that waits is written, because rounds may be faster than a disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gossipfl.errors import StateError
from gossipfl.identity import PeerId
from gossipfl.node.store import Store
from gossipfl.wire.manifest import Manifest, PeerRecord, Signed

UNWRITTEN_MAX = 10_000               # writes waiting for the disk
Work = Callable[[], None]
Job = Callable[[Callable[[], Any], Callable[[Any], None]], None]     # do this in the thread, then that on the loop


class Keeper:
    """The writing side of one node's memory."""

    def __init__(self, store: Store, state: Path, job: Job) -> None:
        self._store, self._state, self._job = store, state, job
        self._unwritten: list[Work] = []
        self._records: dict[PeerId, Signed[PeerRecord] | None] = {}      # None: forget it
        self._checkpoint: Work | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def keep(self, work: Work) -> None:
        """Do `work` in its turn.  Raises StateError if the disk is so slow that too much waits."""
        self._unwritten.append(work)
        if len(self._unwritten) > UNWRITTEN_MAX:
            raise StateError(f"the disk under {self._state} is too slow: {UNWRITTEN_MAX} writes are waiting")
        self._write()

    def record(self, record: Signed[PeerRecord]) -> None:
        """Remember where a peer can be reached."""
        self._records[record.signer] = record
        self._write()

    def drop_record(self, peer: PeerId) -> None:
        """Forget it."""
        self._records[peer] = None
        self._write()

    def manifest(self, signed: Signed[Manifest]) -> None:
        document = signed.document
        self.keep(lambda: self._store.put_manifest(
            signed.signer, document.sequence, document.kind, document.round, signed.envelope
        ))  # fmt: skip

    def checkpoint(self, save: Work) -> None:
        """Have `save` write a checkpoint, unless a newer one comes before its turn."""
        self._checkpoint = save
        self._write()

    async def settle(self) -> None:
        """Come back when everything is written."""
        while not self._idle.is_set():                   # it may be busy again before this task has its turn
            await self._idle.wait()

    def _write(self) -> None:
        """Hand everything that waits to the thread, if it is free."""
        if not self._idle.is_set():
            return
        batch, self._unwritten = self._unwritten, []
        if self._records:
            changes, self._records = self._records, {}
            gone = [peer for peer, record in changes.items() if record is None]
            records = [record for record in changes.values() if record is not None]
            batch.append(lambda: self._store.drop_records(gone))
            batch.append(lambda: self._store.put_records((r.signer, r.document.sequence, r.envelope) for r in records))
        if self._checkpoint is not None:
            batch.append(self._checkpoint)
            self._checkpoint = None
        if batch:
            self._idle.clear()
            self._job(lambda: [work() for work in batch], self._written)

    def _written(self, _: Any) -> None:
        self._idle.set()
        self._write()
