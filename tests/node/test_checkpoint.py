"""Checkpoints: whole or not at all, and never a wrong model without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from gossipfl.errors import StateError
from gossipfl.node import checkpoint

TENSORS = {"public": np.arange(600, dtype=np.float32), "step": np.array(3, dtype=np.int64)}
ABOUT = {"round": "7", "state": "ab" * 32}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
        stn.arrays(
            st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
            stn.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=4,
    ),
    st.dictionaries(st.sampled_from(["round", "state", "é"]), st.text(st.characters(codec="utf-8"), max_size=9)),
)
def test_what_is_saved_is_loaded_bit_for_bit(path, tensors, about):
    checkpoint.save(path, tensors, about)
    loaded, told = checkpoint.load(path)
    assert told == about
    assert {n: (t.dtype, t.shape, t.tobytes()) for n, t in loaded.items()} == {
        n: (t.dtype, t.shape, t.tobytes()) for n, t in tensors.items()
    }


def test_a_transposed_view_is_saved_as_it_reads_not_as_it_lies(path):
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    checkpoint.save(path, {"m": matrix.T}, {})
    loaded, _ = checkpoint.load(path)
    assert loaded["m"].tolist() == matrix.T.tolist()


def test_no_file_is_no_checkpoint(path):
    assert checkpoint.load(path) is None


def test_every_cut_is_refused_with_the_way_out(path):
    checkpoint.save(path, TENSORS, ABOUT)
    whole = path.read_bytes()
    for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(StateError, match=r"model\.safetensors is damaged .+ move it away"):
            checkpoint.load(path)


def test_no_flipped_bit_changes_the_model_unnoticed(path):
    checkpoint.save(path, TENSORS, ABOUT)
    whole = path.read_bytes()
    expected, _ = checkpoint.load(path)
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        if (loaded := _load_or_refuse(path)) is not None:
            # A flip in the header's own whitespace changes nothing that is read from it.
            assert loaded[1] == ABOUT
            assert all(np.array_equal(loaded[0][name], expected[name]) for name in expected)


def _load_or_refuse(path):
    try:
        return checkpoint.load(path)
    except StateError:
        return None


def test_a_checkpoint_without_a_checksum_is_none_of_ours(path):
    import safetensors.numpy

    safetensors.numpy.save_file(TENSORS, path, ABOUT)
    with pytest.raises(StateError, match="does not match its checksum"):
        checkpoint.load(path)


def test_an_unwritable_place_is_the_users_mistake_and_costs_nothing(tmp_path):
    with pytest.raises(StateError, match="cannot write the checkpoint"):
        checkpoint.save(tmp_path / "absent" / "model.safetensors", TENSORS, ABOUT)


def test_the_file_is_its_owners_alone(path):
    checkpoint.save(path, TENSORS, ABOUT)
    assert path.stat().st_mode & 0o777 == 0o600


_VICTIM = """
import sys
from pathlib import Path
import numpy as np
from gossipfl.node import checkpoint
for number in range(10**9):
    checkpoint.save(Path(sys.argv[1]), {"m": np.full(200_000, number, np.float32)}, {"number": str(number)})
    print(number, flush=True)
"""


def test_a_node_killed_while_saving_leaves_a_whole_model(path):
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", _VICTIM, path], stdout=subprocess.PIPE, text=True) as victim:
            reported = [int(victim.stdout.readline()) for _ in range(15)][-1]
            os.kill(victim.pid, signal.SIGKILL)
            victim.stdout.read()
        tensors, about = checkpoint.load(path)
        assert int(about["number"]) >= reported
        assert np.all(tensors["m"] == float(about["number"]))
