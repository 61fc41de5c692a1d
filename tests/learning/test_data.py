"""What a source gives each peer, and what each mistake in a user's file is answered with."""

import gzip
import os
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from gossipfl.config import DataConfig, ModelConfig
from gossipfl.errors import DataError
from gossipfl.learning.data import Examples, load_shard, scaled

DIGITS = ModelConfig(inputs=(64,))
PAIR = ModelConfig(inputs=(2,), classes=2)              # two numbers in, two classes out
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    data = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)


def write_family(folder: Path, images: np.ndarray, labels: np.ndarray, suffix: str = "") -> None:
    folder.mkdir(exist_ok=True)
    for kind, rows in (("train", slice(None)), ("t10k", slice(0, 10))):
        write_idx(folder / f"{kind}-images-idx3-ubyte{suffix}", images[rows])
        write_idx(folder / f"{kind}-labels-idx1-ubyte{suffix}", labels[rows])


def some_images(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 6, 4)).astype(np.uint8), (np.arange(count) % 10).astype(np.uint8)


def write_csv(path: Path, header: str = "a,b,label", lines: int = 40, **replaced: str) -> Path:
    """Lines "0.0,1.5,0", "1.0,1.5,1" ...; line3="x" replaces the third line of the file."""
    rows = [f"{row}.0,1.5,{row % 2}" for row in range(lines)]
    for line, text in replaced.items():
        rows[int(line.removeprefix("line")) - 2] = text
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def load_pair(path: Path, **options: object) -> Examples:
    return load_shard(DataConfig(source=str(path), **options), PAIR).train


def complaint(path: Path, model: ModelConfig = PAIR, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load_shard(DataConfig(source=str(path), **options), model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------- digits


def test_digits_are_1797_scaled_examples_a_fifth_of_them_held_out():
    shard = load_shard(DataConfig(), DIGITS)
    assert (shard.train.x.shape, shard.test.x.shape) == ((1438, 64), (359, 64))
    assert (shard.train.x.dtype, shard.train.x.min(), shard.train.x.max()) == (np.float32, 0, 1)


def test_digits_take_the_shape_the_model_asks_for():
    assert load_shard(DataConfig(), ModelConfig(inputs=(64, 1))).train.x.shape == (1438, 64, 1)
    assert load_shard(DataConfig(), ModelConfig(inputs=(8, 8, 1))).train.x.shape == (1438, 8, 8, 1)


def test_all_peers_and_seeds_share_one_test_set_and_no_training_example():
    shards = [load_shard(DataConfig(split="dirichlet", peers=5, part=part), DIGITS) for part in range(5)]
    reseeded = load_shard(DataConfig(split="iid", peers=5, seed=9), DIGITS)
    assert all(np.array_equal(shard.test.x, reseeded.test.x) for shard in shards)
    rows = [row.tobytes() for shard in shards for row in shard.train.x]
    assert len(rows) == 1438
    assert not {row.tobytes() for row in reseeded.test.x} & set(rows)


def test_loading_digits_imports_neither_sklearn_nor_jax():
    program = (
        "import sys; from gossipfl.config import DataConfig, ModelConfig; import gossipfl.learning.learner;"
        "from gossipfl.learning.data import load_shard; load_shard(DataConfig(), ModelConfig());"
        "sys.exit(bool({'sklearn', 'jax', 'optax'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


# ---------------------------------------------------------------------------------------------------------- IDX


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_images_stay_pixels_and_keep_their_labels(tmp_path, suffix):
    images, labels = some_images(50)
    write_family(tmp_path, images, labels, suffix)
    shard = load_shard(DataConfig(source=str(tmp_path), split="iid", peers=3, part=1), ModelConfig(inputs=(24,)))
    assert shard.train.x.dtype == np.uint8
    by_pixels = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert [by_pixels[row.tobytes()] for row in shard.train.x] == shard.train.y.tolist()
    assert np.array_equal(shard.test.x, images[:10].reshape(10, 24))


def test_pixels_are_scaled_to_one():
    assert scaled(np.array([0, 51, 255], np.uint8)).tolist() == pytest.approx([0, 0.2, 1])
    assert scaled(np.array([7.5], np.float32)).tolist() == [7.5]


def test_streaming_a_hundredth_of_the_images_never_holds_the_rest(tmp_path):
    count = 20_000
    write_family(tmp_path, np.zeros((count, 28, 28)), np.arange(count) % 10, ".gz")     # 16 MB of pixels
    tracemalloc.start()
    shard = load_shard(DataConfig(source=str(tmp_path), split="iid", peers=100), ModelConfig(inputs=(28, 28, 1)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert shard.train.x.shape == (200, 28, 28, 1)
    assert peak < 3_000_000                                 # labels and the split's index arrays, a block, my rows


def test_mnist_has_its_published_mean():
    root = os.environ.get("GOSSIPFL_DATA")
    if not root or not (Path(root) / "mnist").is_dir():
        pytest.skip("set GOSSIPFL_DATA to a folder with mnist/ to test on the real files")
    shard = load_shard(DataConfig(source="mnist", split="iid", peers=60), ModelConfig(inputs=(784,)))
    assert (len(shard.train), len(shard.test)) == (1000, 10_000)
    assert scaled(shard.train.x).mean() == pytest.approx(0.1307, abs=0.005)


def test_missing_mnist_says_where_it_looked_and_what_to_set(tmp_path):
    with pytest.raises(DataError) as caught:
        load_shard(DataConfig(source="mnist"), ModelConfig(inputs=(784,)), tmp_path)
    assert str(tmp_path / "mnist") in str(caught.value)
    assert "set GOSSIPFL_DATA" in str(caught.value)


def test_the_folder_of_named_sets_comes_from_the_environment(tmp_path, monkeypatch):
    images, labels = some_images(20)
    write_family(tmp_path / "mnist", images, labels)
    monkeypatch.setenv("GOSSIPFL_DATA", str(tmp_path))
    assert len(load_shard(DataConfig(source="mnist"), ModelConfig(inputs=(24,))).train) == 20


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / IMAGES).write_bytes(b"GIF89a"), "not an IDX file of unsigned bytes"),
        (lambda folder: (folder / IMAGES).write_bytes(b""), "begins with nothing"),
        (lambda folder: (folder / IMAGES).write_bytes(b"\0\0\x08\x03\0\0"), "ends within its header"),
        (lambda folder: os.truncate(folder / IMAGES, 16 + 50 * 24 - 30), "ends within entry 48 of 50"),
        (lambda folder: write_idx(folder / LABELS, np.zeros(49)), "belong to different sets"),
        (lambda folder: write_idx(folder / LABELS, np.full(50, 10)), "50 of 50 labels are not whole numbers in 0..9"),
        (lambda folder: (folder / LABELS).unlink(), "there is no train-labels-idx1-ubyte or"),
        (lambda folder: (folder / LABELS).rename(folder / f"{LABELS}.gz"), "Not a gzipped file"),
    ],
)
def test_damaged_idx_is_named(tmp_path, damage, words):
    images, labels = some_images(50)
    write_family(tmp_path, images, labels)
    damage(tmp_path)
    assert words in complaint(tmp_path, ModelConfig(inputs=(24,)))


# ---------------------------------------------------------------------------------------------------------- CSV


def test_csv_columns_keep_their_order_around_the_label(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("a,label,b\n" + "".join(f"{n},{n % 2},{10 * n}\n" for n in range(40)), encoding="utf-8")
    train = load_pair(path)
    a, b = train.x.T
    assert np.array_equal(b, 10 * a)
    assert np.array_equal(train.y, a % 2)


def test_csv_may_have_quotes_blank_lines_a_byte_order_mark_and_another_label_column(tmp_path):
    path = write_csv(tmp_path / "own.csv", '\ufeffa,b,"kind, of"', line2='"0.0",1.5,"0"', line4="")
    assert len(load_pair(path, label="kind, of")) == 31     # of 39, 8 are held out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"line4": "1.0,red,1"}, 'line 4, column "b" holds "red"'),
        ({"line4": "1.0,,1"}, 'line 4, column "b" holds ""'),
        ({"line5": "1.0,2.0"}, "line 5 has 2 values, the header names 3 columns"),
        ({"header": "a,b,klass"}, 'has no column "label"; set data.label to one of: a, b, klass'),
        ({"header": "a,label"}, "the header names 2 columns"),
        ({"line7": "nan,1.0,1"}, '1 values are NaN, infinite or beyond float32, the first in line 7, column "a"'),
        ({"line9": "1.0,-1e99,1"}, 'the first in line 9, column "b"'),
        ({"line3": "1.0,1.0,2"}, "1 of 40 labels are not whole numbers in 0..1, the first is 2 in line 3"),
        ({"line3": "1.0,1.0,0.5"}, "the first is 0.5 in line 3"),
        ({"line3": "1.0,1.0,nan"}, "the first is nan in line 3"),
        ({"lines": 0}, "holds no examples"),
        ({"lines": 9}, "7 training examples are too few for 1 peers with 8 each"),
    ],
)
def test_each_mistake_in_a_csv_is_named_with_its_place(tmp_path, changes, words):
    assert words in complaint(write_csv(tmp_path / "own.csv", **changes))


def test_a_test_set_of_nothing_is_refused(tmp_path):
    assert "too few to hold a test set out" in complaint(write_csv(tmp_path / "own.csv"), test_fraction=0.01)


def test_a_csv_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "own.csv"
    path.write_bytes(b"a,b\xff\xfe,label\n1,2,0\n")
    assert "save it as UTF-8" in complaint(path)


# ---------------------------------------------------------------------------------------------------------- npz


def write_npz(path: Path, **changed: np.ndarray | None) -> Path:
    arrays = {"x": np.ones((40, 2)), "y": np.arange(40) % 2} | changed
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_npz_brings_its_own_test_set_or_has_one_held_out(tmp_path):
    own = write_npz(tmp_path / "own.npz", x_test=np.zeros((5, 2)), y_test=np.zeros((5, 1)))
    assert len(load_pair(own)) == 40
    assert len(load_pair(write_npz(tmp_path / "plain.npz"))) == 32


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": None}, "has no array x"),
        ({"y": None}, "has no array y"),
        ({"x_test": np.ones((5, 2))}, "has no array y_test"),
        ({"y": np.zeros(39)}, "x has shape (40, 2) and y (39,)"),
        ({"y": np.zeros((40, 2))}, "y must be one class number for each row of x"),
        ({"x": np.ones(40)}, "x has shape (40,)"),
        ({"x": np.full((40, 2), "a")}, "not numbers"),
        ({"x": np.full((40, 2), None)}, "holds Python objects"),
        ({"x": np.full((40, 2), np.inf)}, "values are NaN, infinite or beyond float32, the first in row"),
        ({"x": np.ones((40, 3))}, "one example has shape 3, but model.inputs is 2; set model.inputs = [3]"),
        ({"x_test": np.ones((0, 2)), "y_test": np.zeros(0)}, "test set: it is empty"),
        ({"x_test": np.full((5, 2), np.nan), "y_test": np.zeros(5)}, "test set: 10 values are NaN"),
    ],
)
def test_each_mistake_in_an_npz_is_named(tmp_path, arrays, words):
    assert words in complaint(write_npz(tmp_path / "own.npz", **arrays))


def test_a_broken_archive_is_refused(tmp_path):
    path = tmp_path / "own.npz"
    path.write_bytes(b"PK\x03\x04 broken")
    assert "write it with numpy.savez" in complaint(path)


def test_axes_are_never_transposed_silently(tmp_path):
    path = write_npz(tmp_path / "own.npz", x=np.ones((40, 3, 8, 8)))
    assert "one example has shape 3x8x8, but model.inputs is 8x8x3" in complaint(path, ModelConfig(inputs=(8, 8, 3)))


@pytest.mark.parametrize("name", ["nowhere.csv", "notes.txt"])
def test_a_path_that_is_no_source_is_refused(tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    assert name in complaint(tmp_path / name)
