"""Which examples train and test this peer: a source is read, held out, split, and only this peer's part is kept.

    source -> labels of all -> common test set held out -> split -> my rows

Sources are small readers: digits here, idx.py for the MNIST family, tables.py for .npz and .csv.  What a user's file
may get wrong ends here as DataError, one sentence with the remedy; from here on examples are sound.
How examples are divided is decided in split.py, what is done with them in learner.py.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gossipfl.config import DataConfig, ModelConfig
from gossipfl.errors import DataError
from gossipfl.learning.idx import open_idx
from gossipfl.learning.source import Array, Indices, Source
from gossipfl.learning.split import hold_out, split
from gossipfl.learning.tables import open_csv, open_npz

PIXEL_MAX = 255.0
DIGITS_MAX = 16.0                               # the digits' pixels are counts 0..16 of 4x4 blocks


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """n examples.  Images stay uint8 pixels, a quarter of the memory; whoever computes with them calls `scaled`."""

    x: Array = field(repr=False)               # (n, *model.inputs) float32, or uint8 that stands for 0..1
    y: npt.NDArray[np.int32] = field(repr=False)  # (n,), each in 0..classes-1

    def __len__(self) -> int:
        return len(self.y)

    def as_floats(self) -> Examples:
        return Examples(scaled(self.x), self.y)


@dataclass(frozen=True, slots=True)
class Shard:
    """What one peer holds: examples that are its own, and a test set that is the same for all peers of a source."""

    train: Examples
    test: Examples

    def as_floats(self) -> Shard:
        return Shard(self.train.as_floats(), self.test.as_floats())


def scaled(x: Array) -> npt.NDArray[np.float32]:
    """x as float32, uint8 pixels scaled to 0..1."""
    if x.dtype == np.uint8:
        return np.divide(x, PIXEL_MAX, dtype=np.float32)
    return x.astype(np.float32, copy=False)


def load_shard(data: DataConfig, model: ModelConfig, root: Path | None = None) -> Shard:
    """The examples that `data` gives to this peer, shaped for `model`.

    root: the folder of the named data sets, default $GOSSIPFL_DATA or ~/.cache/gossipfl/data.
    Raises DataError for what is wrong with the examples, ConfigError for a split that cannot be made.
    """
    return load_shards(data, model, [data.part], root)[0]


def load_shards(data: DataConfig, model: ModelConfig, parts: Sequence[int], root: Path | None = None) -> list[Shard]:
    """What `load_shard` gives for each of `parts` in place of data.part, read and split once; one test set for all."""
    source = _open(data, root or data_root())
    labels = _labels(source.labels, source, model.classes)
    if source.test is None:
        test_rows, pool = hold_out(labels, data.test_fraction)
        if not len(test_rows):
            raise DataError(f"{source.name}: {len(labels)} examples are too few to hold a test set out; bring more")
        test = Examples(_read(source, test_rows, model), labels[test_rows])
    else:
        pool = np.arange(len(labels))
        test = _own_test(source, model)
    found = _parts(labels[pool], data, source.name)
    return [
        Shard(Examples(_read(source, mine, model), labels[mine]), test)
        for mine in (pool[found[0 if data.split == "none" else part]] for part in parts)
    ]


def data_root() -> Path:
    """$GOSSIPFL_DATA, or the folder of named data sets in the user's cache."""
    given = os.environ.get("GOSSIPFL_DATA")
    return Path(given) if given else Path.home() / ".cache" / "gossipfl" / "data"


def _open(data: DataConfig, root: Path) -> Source:
    if data.source == "digits":
        return _open_digits()
    if data.source == "mnist":
        return open_idx(root / "mnist", remedy="set GOSSIPFL_DATA to the folder that holds mnist/")
    path = Path(data.source)
    if path.is_dir():
        return open_idx(path, remedy="data.source must be a folder of the four IDX files, an .npz or a .csv")
    if not path.exists():
        raise DataError(f'there is no {path}; data.source is "digits", "mnist", a folder of IDX files, .npz or .csv')
    if path.suffix == ".npz":
        return open_npz(path)
    if path.suffix == ".csv":
        return open_csv(path, data.label)
    raise DataError(f"{path} is neither a folder of IDX files nor .npz nor .csv; convert it to one of these")


def _open_digits() -> Source:
    # scikit-learn ships the file; importing the library for it would cost 60 MB and a second.
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise DataError('the digits come with scikit-learn, which is not installed; run: pip install "scikit-learn"')
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.float32)   # (1797, 65), the class last
    except OSError as error:
        raise DataError(f"cannot read {path} ({error}); reinstall scikit-learn") from None
    x = table[:, :-1] / np.float32(DIGITS_MAX)
    return Source(name="digits", labels=table[:, -1], rows=lambda rows: x[rows])


def _labels(found: Array, source: Source, classes: int) -> npt.NDArray[np.int32]:
    """`found` as (N,) int32.  Raises DataError unless each is a whole number in 0..classes-1."""
    values = found.astype(np.float64)
    bad = np.flatnonzero(~((values == np.floor(values)) & (values >= 0) & (values < classes)))
    if len(bad):
        raise DataError(
            f"{source.name}: {len(bad)} of {len(values)} labels are not whole numbers in 0..{classes - 1}, the first "
            f"is {values[bad[0]]:g} in {source.place(bad[0])}; number the classes from 0, or raise model.classes"
        )
    return values.astype(np.int32)


def _parts(labels: npt.NDArray[np.int32], data: DataConfig, name: str) -> list[Indices]:
    """Ascending indices among `labels` of every peer's training examples."""
    peers = 1 if data.split == "none" else data.peers
    if len(labels) < peers * max(1, data.examples_min):
        raise DataError(
            f"{name}: {len(labels)} training examples are too few for {peers} peers with {data.examples_min} each; "
            f"bring more, share them among fewer peers, or lower data.examples_min"
        )
    return split(labels, data)


def _own_test(source: Source, model: ModelConfig) -> Examples:
    assert source.test is not None
    x, found = source.test()
    source = replace(source, name=f"{source.name}, test set")
    y = _labels(found, source, model.classes)
    if not len(y):
        raise DataError(f"{source.name}: it is empty; leave it out, and data.test_fraction of all examples is held out")
    return Examples(_sound(x, np.arange(len(y)), source, model), y)


def _read(source: Source, rows: Indices, model: ModelConfig) -> Array:
    return _sound(source.rows(rows), rows, source, model)


def _sound(x: Array, rows: Indices, source: Source, model: ModelConfig) -> Array:
    """x shaped for the model, uint8 or finite float32.  `rows` are its row numbers in the source."""
    x = _shaped(x, model, source.name)
    if x.dtype == np.uint8:
        return x
    with np.errstate(over="ignore"):
        x = x.astype(np.float32, copy=False)
    bad = np.argwhere(~np.isfinite(x.reshape(len(x), -1)))
    if not len(bad):
        return x
    row, column = bad[0]
    raise DataError(
        f"{source.name}: {len(bad)} values are NaN, infinite or beyond float32, the first in "
        f"{source.place(int(rows[row]), int(column))}; fill them in or drop those examples"
    )


def _shaped(x: Array, model: ModelConfig, name: str) -> Array:
    """x as (n, *model.inputs).  Only axes of length 1 and flattening are bridged: transposing needs the user's eye."""
    have, want = x.shape[1:], model.inputs
    if prod(have) == prod(want) and (len(have) == 1 or len(want) == 1 or _squeezed(have) == _squeezed(want)):
        return x.reshape(len(x), *want)
    raise DataError(
        f"{name}: one example has shape {_words(have)}, but model.inputs is {_words(want)}; "
        f"set model.inputs = {list(have)} in the federation, or reshape the examples"
    )


def _squeezed(shape: tuple[int, ...]) -> list[int]:
    return [length for length in shape if length != 1]


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "()"
