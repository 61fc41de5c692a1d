"""What peers agree on before they meet: a name, a key, a model, a seed and a codec.

The file is TOML.  It holds the federation's key, so it is written with mode 0600 and handed from person to person.
Two hashes speak for it: the *fingerprint* says which federation this is and is bound into every handshake, so two
federations on one LAN never mix; the *terms* say what is trained, and a peer of other terms is refused by name.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

import msgpack

from gossipfl import config
from gossipfl.config import ModelConfig, Options
from gossipfl.errors import ConfigError, StateError

KEY_BYTES = 32


class Federation(Options):
    """The agreement.  `key` empty means open: anyone who knows the id may join."""

    name: str
    id: str                                     # 32 hex digits, random: names are not unique
    key: str = ""                               # 64 hex digits, secret: admits to a closed federation (Noise psk0)
    seed: int = 0                               # of the initial model
    codec: str = "float32"                      # a key of codec.CODECS
    model: ModelConfig = ModelConfig()

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that name this federation and no other."""
        return hashlib.sha256(b"gossipfl/1/federation\0" + bytes.fromhex(self.id)).digest()

    @property
    def terms(self) -> bytes:
        """32 bytes over what is trained: model, seed, codec."""
        canonical = msgpack.packb([_sorted(config.to_tables(self.model)), self.seed, self.codec])
        return hashlib.sha256(b"gossipfl/1/terms\0" + canonical).digest()

    @property
    def psk(self) -> bytes | None:
        """The pre-shared key of a closed federation, None for an open one."""
        return bytes.fromhex(self.key) if self.key else None

    @property
    def discovery_tag(self) -> str:
        """16 hex digits for mDNS; keyed, so that a stranger cannot tell which federation it is."""
        return hashlib.blake2b(self.fingerprint, key=self.psk or b"", digest_size=8).hexdigest()

    @property
    def summary(self) -> str:
        """The terms in words, for the message that refuses another model."""
        shape = "x".join(map(str, self.model.inputs))
        layers = "-".join(map(str, (shape, *self.model.hidden, self.model.classes)))
        name = self.model.learner or f"{self.model.name} {layers}"
        return f"{name}, codec {self.codec}, seed {self.seed}"


def new(name: str, *, model: ModelConfig, codec: str = "float32", seed: int = 0, is_open: bool = False) -> Federation:
    """A fresh federation with a random id and, unless open, a random key."""
    key = "" if is_open else secrets.token_hex(KEY_BYTES)
    return Federation(name=name, id=secrets.token_hex(16), key=key, seed=seed, codec=codec, model=model)


def save(federation: Federation, path: Path) -> None:
    """Write the file for its owner's eyes only.  Raises StateError rather than overwrite one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StateError(f"{path} exists; name another file or move it away") from None
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(config.to_toml(config.to_tables(federation)))


def load(path: Path) -> Federation:
    """Read a federation file.  Raises ConfigError for what is wrong in it, StateError if others can read its key."""
    federation = config.load(path, Federation)
    for field, bytes_needed in (("id", 16), ("key", KEY_BYTES)):
        _check_hex(getattr(federation, field), bytes_needed, field, optional=field == "key")
    mode = path.stat().st_mode & 0o777
    if federation.key and mode & 0o077:
        raise StateError(f"others can read the federation's key in {path} (mode {mode:04o}); run: chmod 600 {path}")
    return federation


def _check_hex(text: str, bytes_needed: int, field: str, *, optional: bool) -> None:
    if optional and not text:
        return
    try:
        if len(bytes.fromhex(text)) == bytes_needed:
            return
    except ValueError:
        pass
    raise ConfigError(f"must be {2 * bytes_needed} hex digits; make one with: gossipfl federation new", field)


def _sorted(tables: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(tables.items())
