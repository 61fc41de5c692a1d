"""Who gets which examples: seeded, disjoint, complete, and nobody left without.

A split sees labels only.  Every peer computes the whole split from the same seed and keeps its own part, so that
nobody has to be asked.  Where the examples come from is decided in data.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gossipfl.config import DataConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.source import Indices

Labels = npt.NDArray[np.int32]
Splitter = Callable[[Labels, DataConfig, np.random.Generator], list[Indices]]

HOLD_OUT_SEED = 20170217                        # of the common test set; fixed, so that no option can move it


def split(labels: Labels, data: DataConfig) -> list[Indices]:
    """`data.peers` ascending index arrays into labels (N,): disjoint, together 0..N-1, examples_min each at least.

    With split = "none" it is one array of all.  Raises ConfigError when `data` asks for the impossible.
    """
    if data.split == "none":
        return [np.arange(len(labels))]
    _check(labels, data)
    parts = SPLITTERS[data.split](labels, data, np.random.default_rng(data.seed))
    return [np.sort(part) for part in _repaired(parts, data)]


def hold_out(labels: Labels, fraction: float) -> tuple[Indices, Indices]:
    """(test, rest): the same share of every class, ascending; the same for everyone who has these labels."""
    if not 0 < fraction < 1:
        raise ConfigError(f"must be between 0 and 1, not {fraction}", "data.test_fraction")
    rng = np.random.default_rng(HOLD_OUT_SEED)
    chosen = [rng.permutation(rows)[: round(fraction * len(rows))] for rows in _by_label(labels)]
    test = np.sort(np.concatenate([*chosen, np.arange(0)]))
    return test, np.setdiff1d(np.arange(len(labels)), test, assume_unique=True)


def _iid(labels: Labels, data: DataConfig, rng: np.random.Generator) -> list[Indices]:
    return np.array_split(rng.permutation(len(labels)), data.peers)


def _dirichlet(labels: Labels, data: DataConfig, rng: np.random.Generator) -> list[Indices]:
    """Each class is dealt in proportions drawn from Dir(alpha) over the peers.

    Sizes vary with it (Yurochkin et al. 2019); Hsu et al. 2019 draw Dir(alpha) over classes for peers of one size.
    """
    parts: list[list[Indices]] = [[] for _ in range(data.peers)]
    for rows in _by_label(labels):
        _deal(rng.permutation(rows), rng.dirichlet(np.full(data.peers, data.alpha)), parts)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def _quantity(labels: Labels, data: DataConfig, rng: np.random.Generator) -> list[Indices]:
    """Sizes from Dir(alpha), labels alike for all."""
    parts: list[list[Indices]] = [[] for _ in range(data.peers)]
    _deal(rng.permutation(len(labels)), rng.dirichlet(np.full(data.peers, data.alpha)), parts)
    return [part[0] for part in parts]


def _shards(labels: Labels, data: DataConfig, rng: np.random.Generator) -> list[Indices]:
    """Sort by label, cut into peers * shards_per_peer runs, deal each peer its number (McMahan et al. 2017, sec. 3)."""
    order = np.argsort(labels, kind="stable")
    runs = np.array_split(order, data.peers * data.shards_per_peer)
    dealt = rng.permutation(len(runs)).reshape(data.peers, -1)
    return [np.concatenate([runs[run] for run in mine]) for mine in dealt]


def _by_class(labels: Labels, data: DataConfig, rng: np.random.Generator) -> list[Indices]:
    """Each peer gets its classes in turn from a shuffled ring; those who share a class share it evenly."""
    classes = rng.permutation(np.unique(labels))
    owned = np.resize(classes, data.peers * data.classes_per_peer).reshape(data.peers, -1)
    parts: list[list[Indices]] = [[] for _ in range(data.peers)]
    for label in classes:
        owners = np.flatnonzero((owned == label).any(axis=1))
        rows = rng.permutation(np.flatnonzero(labels == label))
        for owner, share in zip(owners, np.array_split(rows, len(owners)), strict=True):
            parts[owner].append(share)
    return [np.concatenate(part) for part in parts]


def _minority(labels: Labels, data: DataConfig, rng: np.random.Generator) -> list[Indices]:
    """The last peer alone has the last classes, and nothing else; the others share the rest alike."""
    rare = np.isin(labels, np.unique(labels)[-data.classes_per_peer :])
    return [*np.array_split(rng.permutation(np.flatnonzero(~rare)), data.peers - 1), np.flatnonzero(rare)]


SPLITTERS: dict[str, Splitter] = {
    "iid": _iid,
    "dirichlet": _dirichlet,
    "shards": _shards,
    "by_class": _by_class,
    "minority": _minority,
    "quantity": _quantity,
}


def _deal(rows: Indices, shares: npt.NDArray[np.float64], parts: list[list[Indices]]) -> None:
    """Cut rows at the cumulated shares and give each peer its piece."""
    cuts = np.rint(np.cumsum(shares[:-1]) * len(rows)).astype(np.intp)
    for part, piece in zip(parts, np.split(rows, cuts), strict=True):
        part.append(piece)


def _repaired(parts: list[Indices], data: DataConfig) -> list[Indices]:
    """The poorest takes from the richest until everyone has examples_min; a promise of classes is never broken."""
    sizes, least = [len(part) for part in parts], data.examples_min
    while min(sizes) < least:
        if data.split in ("by_class", "minority"):
            raise ConfigError(f"{data.split} leaves a peer {min(sizes)} examples, needed are {least}", "data.split")
        poor, rich = int(np.argmin(sizes)), int(np.argmax(sizes))
        moved = min(least - sizes[poor], sizes[rich] - least)
        parts[poor] = np.concatenate([parts[poor], parts[rich][-moved:]])
        parts[rich] = parts[rich][:-moved]
        sizes[poor], sizes[rich] = len(parts[poor]), len(parts[rich])
    return parts


def _by_label(labels: Labels) -> list[Indices]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _check(labels: Labels, data: DataConfig) -> None:
    """Refuse what no split can give."""
    count, peers, classes = len(labels), data.peers, len(np.unique(labels))
    if peers < 1:
        raise ConfigError(f"must be at least 1, not {peers}", "data.peers")
    if not 0 <= data.part < peers:
        raise ConfigError(f"must be in 0..{peers - 1}, not {data.part}", "data.part")
    if data.examples_min < 1:
        raise ConfigError(f"must be at least 1, not {data.examples_min}: nobody trains on nothing", "data.examples_min")
    if count < peers * data.examples_min:
        raise ConfigError(f"{count} examples cannot give {peers} peers {data.examples_min} each", "data.examples_min")
    if data.split in ("dirichlet", "quantity") and not data.alpha > 0:
        raise ConfigError(f"must be above 0, not {data.alpha}", "data.alpha")
    if data.split == "shards" and not 1 <= data.shards_per_peer <= count // peers:
        raise ConfigError(f"{count} examples have no {peers} x {data.shards_per_peer} shards", "data.shards_per_peer")
    if data.split == "by_class" and not classes / peers <= data.classes_per_peer <= classes:
        raise ConfigError(
            f"{peers} peers with {data.classes_per_peer} of {classes} classes each leave some to nobody, "
            f"or ask for more than there are",
            "data.classes_per_peer",
        )
    if data.split == "minority" and (peers < 2 or data.classes_per_peer >= classes):
        raise ConfigError(
            f"{peers} peers and {classes} classes, {data.classes_per_peer} of them the last peer's, leave no majority: "
            "take two peers or more, and leave the others some class",
            "data.classes_per_peer",
        )
