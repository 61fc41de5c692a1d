"""A model on the disk: safetensors, written whole or not at all, with a hash that finds flipped bits.

Decides when a file is good enough to train on.  Ignores what the tensors mean and when they are saved
(node/learning.py); the history beside it is node/store.py.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from gossipfl.errors import StateError

FILE = "checkpoint.safetensors"                  # in a state directory
_HASH_KEY = "sha256"                             # in safetensors' metadata; the format itself carries no checksum


def save(path: Path, tensors: dict[str, np.ndarray], about: dict[str, str]) -> None:
    """Write `tensors` and what is told `about` them.  A crash leaves the old file or the new one, never a part.

    Raises StateError if the disk refuses; the old file is then untouched.
    """
    import safetensors.numpy

    assert _HASH_KEY not in about, f"{_HASH_KEY!r} is the checkpoint's own key"
    # safetensors writes the buffer as it lies in memory, so a transposed view must be laid out first.
    plain = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))   # trained on private examples
        safetensors.numpy.save_file(plain, temporary, {**about, _HASH_KEY: _content_hash(plain, about)})
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except (OSError, safetensors.SafetensorError) as error:
        raise StateError(f"cannot write the checkpoint {path}: {error}; free space or fix permissions") from error


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]] | None:
    """The tensors and what was told about them; None if there is no checkpoint.

    Raises StateError, with the way out, for a file that is cut short, altered or none of ours.
    """
    import safetensors

    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}   # noqa: SIM118  (not a dict)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, safetensors.SafetensorError) as error:
        raise _damaged(path, str(error)) from error
    if about.pop(_HASH_KEY, None) != _content_hash(tensors, about):
        raise _damaged(path, "its content does not match its checksum")
    return tensors, about


def _damaged(path: Path, reason: str) -> StateError:
    return StateError(
        f"the checkpoint {path} is damaged ({reason}): move it away; the node then starts from the federation's "
        "initial model, or takes a snapshot from its neighbors, and keeps its identity"
    )


def _content_hash(tensors: dict[str, np.ndarray], about: dict[str, str]) -> str:
    """SHA-256 over names, types, shapes, bytes and `about`, independent of the order in which they were given."""
    digest = hashlib.sha256(b"gossipfl/1/checkpoint\0" + json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, tensor.dtype.str, tensor.shape]).encode())
        digest.update(tensor.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
