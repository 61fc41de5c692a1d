"""What a peer is born with, and the one counter behind all that it signs."""

from __future__ import annotations

from dataclasses import dataclass

from gossipfl.config import NodeConfig
from gossipfl.federation import Federation
from gossipfl.identity import Identity, PeerId
from gossipfl.protocol.events import Dice

_BOOT_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A peer at its start."""

    identity: Identity
    federation: Federation
    options: NodeConfig
    dice: Dice
    boot: bytes                      # 16 random bytes of this start
    boots: int                       # starts so far: the high half of every sequence, so none is ever used twice
    addresses: tuple[str, ...] = ()  # told to others
    records: tuple[bytes, ...] = ()  # peer records remembered from last time
    sequences: tuple[tuple[PeerId, int], ...] = ()       # newest manifest seen of each signer
    trust: tuple[tuple[PeerId, float, int], ...] = ()    # my opinions from last time, as KeepTrust named them
    proofs: tuple[tuple[bytes, bytes], ...] = ()         # of lies, from last time, as KeepProof named them


def start_of_boot(sequence: int) -> int:
    """The lowest sequence of the start in which `sequence` was used."""
    return sequence >> _BOOT_BITS << _BOOT_BITS


class Sequences:
    """Numbers for what I sign, strictly rising over restarts and power cuts: boots << 32, then counted up."""

    def __init__(self, boots: int) -> None:
        self._last = boots << _BOOT_BITS

    def next(self) -> int:
        self._last += 1
        return self._last

    def jump_above(self, seen: int) -> None:
        """Go beyond every number of the start in which `seen` was used: more may have been signed then than I know."""
        self._last = max(self._last, start_of_boot(seen) + (1 << _BOOT_BITS))
