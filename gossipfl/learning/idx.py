"""IDX, the format of the MNIST family: a 4-byte magic, big-endian lengths, then bytes.

Images are streamed, plain or gzipped, and only the wanted rows are kept: a peer that owns a tenth of 60,000 images
never holds more than its tenth.  What the rows mean is decided in data.py.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from gossipfl.errors import DataError
from gossipfl.learning.source import Indices, Source

Bytes = npt.NDArray[np.uint8]
UNSIGNED_BYTE = 0x08                            # the only element type in the MNIST family
BLOCK_BYTES = 256 * 1024                        # read at once; larger is not faster
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def open_idx(folder: Path, remedy: str) -> Source:
    """The four standard files in `folder`, plain or with .gz.  Raises DataError with `remedy` if one is missing."""
    images, labels, test_images, test_labels = (
        _find(folder, name, remedy) for name in (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    )
    _check_pair(images, labels)
    _check_pair(test_images, test_labels)
    return Source(
        name=str(folder),
        labels=read_idx(labels),
        rows=lambda rows: read_idx(images, rows),
        test=lambda: (read_idx(test_images), read_idx(test_labels)),
    )


def read_idx(path: Path, rows: Indices | None = None) -> Bytes:
    """The entries of an IDX file along its first axis: all, or the ascending `rows`.  Returns (m, ...) uint8."""
    try:
        with _open(path) as file:
            shape = _read_shape(file, path)
            return _pick(file, shape, np.arange(shape[0]) if rows is None else rows)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}); fetch it again") from None


def idx_shape(path: Path) -> tuple[int, ...]:
    """The lengths of all axes, from the header alone."""
    try:
        with _open(path) as file:
            return _read_shape(file, path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}); fetch it again") from None


def _check_pair(images: Path, labels: Path) -> None:
    images_shape, labels_shape = idx_shape(images), idx_shape(labels)
    if len(labels_shape) != 1 or images_shape[0] != labels_shape[0]:
        raise DataError(f"{images} has shape {images_shape} and {labels} {labels_shape}; they belong to different sets")


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _find(folder: Path, name: str, remedy: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"there is no {name} or {name}.gz in {folder}; {remedy}")


def _read_shape(file: IO[bytes], path: Path) -> tuple[int, ...]:
    """The lengths of all axes.  Raises DataError if this is not IDX of unsigned bytes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTE or not magic[3]:
        raise DataError(f"{path} is not an IDX file of unsigned bytes (it begins with {magic.hex() or 'nothing'})")
    lengths = file.read(4 * magic[3])
    if len(lengths) < 4 * magic[3]:
        raise EOFError("it ends within its header")
    return struct.unpack(f">{magic[3]}I", lengths)


def _pick(file: IO[bytes], shape: tuple[int, ...], wanted: Indices) -> Bytes:
    """Read on to the last wanted row, a block at a time, and keep the wanted ones."""
    row_bytes = prod(shape[1:])
    picked = np.empty((len(wanted), row_bytes), np.uint8)
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, int(wanted[-1]) + 1 if len(wanted) else 0, step):
        stop = min(start + step, shape[0])
        block = file.read((stop - start) * row_bytes)
        if len(block) < (stop - start) * row_bytes:
            raise EOFError(f"it ends within entry {start + len(block) // max(1, row_bytes)} of {shape[0]}")
        first, last = np.searchsorted(wanted, (start, stop))
        picked[first:last] = np.frombuffer(block, np.uint8).reshape(-1, row_bytes)[wanted[first:last] - start]
    return picked.reshape(len(wanted), *shape[1:])
