"""Deltas as bytes.  A new codec is one function pair in a file of this room, one line in CODECS and one property test.

Start with payload.py for what a codec is, then public_model.py for what its payloads are added to.
"""

from gossipfl.codec.dense import BFLOAT16, FLOAT32
from gossipfl.codec.payload import BadPayload, Codec, Diverged
from gossipfl.codec.public_model import PublicModel, from_snapshot, snapshot_bytes
from gossipfl.codec.quantize import INT8

CODECS: dict[str, Codec] = {codec.name: codec for codec in (FLOAT32, BFLOAT16, INT8)}

__all__ = ["CODECS", "BadPayload", "Codec", "Diverged", "PublicModel", "from_snapshot", "snapshot_bytes"]
