"""Deltas as bytes.  A new codec is one function pair in a file of this room, one line in CODECS and one property test.

Start with payload.py for what a codec is, then public_model.py for what its payloads are added to.
"""

from gossipfl.codec.dense import BFLOAT16, FLOAT32
from gossipfl.codec.payload import BadPayload, Codec, Diverged
from gossipfl.codec.public_model import PublicModel, from_snapshot, snapshot_bytes
from gossipfl.codec.quantize import INT8
from gossipfl.errors import ConfigError, meant

CODECS: dict[str, Codec] = {codec.name: codec for codec in (FLOAT32, BFLOAT16, INT8)}


def check_codec(name: str) -> None:
    """Raises ConfigError unless there is a codec called `name`."""
    if name not in CODECS:
        raise ConfigError(f"no codec {name!r}; {meant(name, CODECS)}", "codec")


__all__ = ["CODECS", "BadPayload", "Codec", "Diverged", "PublicModel", "check_codec", "from_snapshot", "snapshot_bytes"]
