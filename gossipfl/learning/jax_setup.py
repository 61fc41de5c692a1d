"""What a process that runs JAX does about it: keep compiled programs on disk, and give memory back after compiling.

Compiling one small model costs half a second and 100 MB; loading it from the cache a tenth of that.  The cache is
trusted: whoever can write it can run code as this user.  So it lies in a folder of the user alone, and a folder that
others could write is not used.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import jax

log = logging.getLogger(__name__)

MADV_DONTNEED = 4                               # linux/mman.h
JAX_LIBRARY = "libjax_common.so"                # 200 MB of code, of which training needs 10


def enable_compilation_cache(directory: Path | None = None) -> Path | None:
    """Let JAX keep compiled programs in `directory`, default the user's cache folder, made with mode 0700 if missing.

    Call it before the first learner is built.  Returns the directory, or None, with a warning logged, if it is not
    safe or not possible to use it.
    """
    directory = directory or _default_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        problem = _problem(directory)
    except OSError as error:
        problem = f"it cannot be made ({error.strerror})"
    if problem:
        log.warning("! compilation cache %s is not used: %s", directory, problem)
        return None
    _set("jax_compilation_cache_dir", str(directory))
    _set("jax_persistent_cache_min_compile_time_secs", 0.0)
    _set("jax_persistent_cache_min_entry_size_bytes", -1)
    return directory


@contextlib.contextmanager
def one_compiler() -> Iterator[None]:
    """Compile alone among the processes that share the cache: the first one compiles, the others find it done.

    It also keeps a reader away from an entry that is half written, which JAX does not.
    """
    directory = jax.config.values["jax_compilation_cache_dir"]
    if not directory:
        yield
        return
    with (Path(directory) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)        # released when the file closes, or its process dies
        yield


def give_back_memory() -> None:
    """Return what compiling left behind: 30 MB of freed heap, and 100 MB of mapped code that is not needed again.

    Code pages are clean and stay in the page cache; those that are touched again come back without reading the disk.
    Linux with glibc only; elsewhere it does nothing.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return
    libc.malloc_trim(0)
    for line in maps.splitlines():
        if "r-xp" in line and line.endswith(JAX_LIBRARY):
            start, end = (int(address, 16) for address in line.split()[0].split("-"))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)


def _set(name: str, value: str | float) -> None:
    jax.config.update(name, value)  # type: ignore[no-untyped-call]


def _default_directory() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "gossipfl" / "jax"


def _problem(directory: Path) -> str | None:
    """Why somebody else could write into it, or None."""
    status = directory.stat()
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}; remove it or set XDG_CACHE_HOME"
    if status.st_mode & 0o022:
        return f"others can write it (mode {status.st_mode & 0o777:04o}); run: chmod 700 {directory}"
    return None
