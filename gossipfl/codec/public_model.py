"""The public model: exactly the vector that a peer's neighbors have put together from its deltas.

    sender     payload = encode(x_half - p)      p <- p + decode(payload)
    receiver                                     p <- p + decode(payload)

Both ends decode the same bytes and do the same float32 additions, so they hold the same bits.  What the codec rounded
away stays in the next `x_half - p` and rides along with it: the error feedback of CHOCO-SGD (Koloskova et al. 2019).
The state names the vector by the hash chain of the updates that made it; whoever computes it (wire/manifest.py) and
whoever compares it (protocol/) is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gossipfl.codec.payload import BadPayload, Payload, Vector, all_finite, check_length


@dataclass(frozen=True, slots=True, eq=False)
class PublicModel:
    """What neighbors hold of one peer.  Never changed in place, so a mixing step may read it while the next arrives."""

    vector: Vector = field(repr=False)                   # (d,) float32, finite
    state: bytes                                         # opaque here: 32 bytes

    @property
    def size(self) -> int:
        return self.vector.size

    def difference(self, x_half: Vector) -> Vector:
        """What neighbors lack of my model after local training, (d,): this is encoded and sent."""
        with np.errstate(over="ignore"):                 # an infinite difference is for the codec to refuse
            return x_half - self.vector

    def advance(self, delta: Vector, state: bytes) -> PublicModel:
        """The public model after a decoded delta (d,), whose memory is taken over.

        Raises BadPayload if the sum leaves the range of float32.
        """
        with np.errstate(over="ignore"):
            vector = np.add(self.vector, delta, out=delta)
        if not all_finite(vector):
            raise BadPayload("a delta that takes the public model out of the range of float32")
        return PublicModel(vector, state)

    def replaced(self, snapshot: Payload, state: bytes) -> PublicModel:
        """The public model that a snapshot gives.  Raises BadPayload."""
        return PublicModel(from_snapshot(snapshot, self.size), state)


def snapshot_bytes(model: PublicModel) -> bytes:
    """The whole vector, float32 little endian: how a newcomer, or a peer that lost the chain, starts."""
    return model.vector.astype("<f4", copy=False).tobytes()


def from_snapshot(payload: Payload, size: int) -> Vector:
    """The vector (size,) in a snapshot.  Raises BadPayload for another length or numbers that are not finite."""
    check_length(payload, 4 * size)
    vector = np.frombuffer(payload, "<f4").astype(np.float32)
    if not all_finite(vector):
        raise BadPayload("a snapshot with numbers that are not finite")
    return vector
