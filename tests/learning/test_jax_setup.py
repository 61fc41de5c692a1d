"""Compiled programs are kept where nobody else can plant one, shared between processes, and their compiler's memory
is given back."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from gossipfl.learning.jax_setup import enable_compilation_cache, give_back_memory, one_compiler

TRAIN_ONE_ROUND = """
import jax, numpy as np
from gossipfl.config import DataConfig, ModelConfig, TrainingConfig
from gossipfl.learning.data import load_shard
from gossipfl.learning.jax_setup import enable_compilation_cache
from gossipfl.learning.learner import LearnerContext, build
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("/cache_hits") else None)
assert enable_compilation_cache()
model = ModelConfig(name="softmax")
learner = build(LearnerContext(model, TrainingConfig(), load_shard(DataConfig(), model), 0, 0))
learner.train(0), learner.evaluate()
print(len(hits))
"""


@pytest.fixture(autouse=True)
def _settings_restored():
    names = [name for name in jax.config.values if name.startswith(("jax_compilation_cache_dir", "jax_persistent"))]
    before = {name: jax.config.values[name] for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def start(cache: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.Popen([sys.executable, "-c", TRAIN_ONE_ROUND], env=environment, text=True, stdout=subprocess.PIPE)


def test_of_two_processes_one_compiles_and_both_train(tmp_path):
    processes = [start(tmp_path) for _ in range(2)]
    hits = [int(process.communicate(timeout=60)[0]) for process in processes]
    programs = [path.name for path in (tmp_path / "gossipfl" / "jax").glob("*-cache")]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(hits) == len(programs) == 2              # train and evaluate: made once, found once


def test_the_folder_is_made_for_its_owner_alone(tmp_path):
    directory = enable_compilation_cache(tmp_path / "a" / "jax")
    assert directory is not None
    assert directory.stat().st_mode & 0o777 == 0o700
    assert jax.config.values["jax_compilation_cache_dir"] == str(directory)
    assert jax.config.values["jax_persistent_cache_min_compile_time_secs"] == 0


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_not_used(tmp_path, caplog, mode):
    tmp_path.chmod(mode)
    before = jax.config.values["jax_compilation_cache_dir"]
    with caplog.at_level(logging.WARNING):
        assert enable_compilation_cache(tmp_path) is None
    assert "others can write it" in caplog.text
    assert jax.config.values["jax_compilation_cache_dir"] == before


def test_a_folder_of_another_user_is_not_used(tmp_path, caplog):
    directory = Path("/")
    if os.geteuid() == 0:                               # root owns /, but may give a folder away
        directory = tmp_path
        os.chown(directory, 12345, -1)
    assert enable_compilation_cache(directory) is None
    assert f"belongs to user {directory.stat().st_uid}" in caplog.text


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert enable_compilation_cache(tmp_path / "file" / "jax") is None
    assert "cannot be made" in caplog.text


def test_without_a_cache_there_is_nothing_to_wait_for():
    jax.config.update("jax_compilation_cache_dir", None)
    with one_compiler(), one_compiler():
        assert jax.config.values["jax_compilation_cache_dir"] is None


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_giving_memory_back_frees_most_of_the_mapped_code_and_breaks_nothing():
    jax.jit(lambda x: x + 3)(1.0)
    before = resident_kib()
    give_back_memory()
    assert resident_kib() < before - 20_000
    assert jax.jit(lambda x: x + 4)(1.0) == 5


def resident_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
