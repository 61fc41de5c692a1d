"""How fast this machine does the single steps that no exchange of updates can do without.

    hash (SHA-256)   seal and open (the wire's own cipher)   copy   send and receive over loopback

Each ceiling is the best of several runs: what others took away is no property of the machine.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from gossipfl.config import MIB
from gossipfl.wire.ciphers import KEY_BYTES, CipherState, Suite, available_suites
from gossipfl.wire.records import FRAME_BODY_MAX

_RUNS = 7
_WRITE_BYTES = 64 * 1024                     # as a link writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """Bytes per second of one core."""

    cipher: str
    hash: float
    seal: float
    open: float
    copy: float
    send: float                              # loopback TCP: per second of the sender's core ...
    receive: float                           # ... and of the receiver's

    def thread_s(self, size: int) -> dict[str, float]:
        """What each of the three threads of an exchange of `size` bytes cannot do without, in seconds."""
        return {
            "source's loop": size / self.seal + size / self.send,
            "target's loop": size / self.receive + size / self.open + size / self.copy,
            "target's hashing": size / self.hash,
        }

    def floor_s(self, size: int) -> float:
        """The least time for `size` bytes: that of the busiest thread, or of all together on the cores there are."""
        threads = self.thread_s(size).values()
        return max(max(threads), sum(threads) / (os.cpu_count() or 1))


def measure(size: int) -> Ceilings:
    """All of them, on `size` bytes each."""
    suite = available_suites()[0]
    data, target = secrets.token_bytes(size), bytearray(size)
    send, receive = _loopback(size)
    return Ceilings(
        cipher=suite.name, hash=size / _best_s(lambda: _hash_chunks(data)), seal=_seal_rate(suite),
        open=_open_rate(suite), copy=size / _best_s(lambda: _copy(data, target)), send=send, receive=receive,
    )  # fmt: skip


def round_trip_s(size: int, count: int = 200) -> float:
    """Median seconds for a short question over loopback and an answer of `size` bytes, with blocking sockets."""
    here, child = _connected(_answer, size, count)
    answer, times = bytearray(size), []
    with here:
        for _ in range(count):
            began = time.perf_counter()
            here.sendall(b"?" * 100)
            _fill(here, answer)
            times.append(time.perf_counter() - began)
    child.join()
    return sorted(times)[count // 2]


def _best_s(work: Callable[[], None]) -> float:
    times = []
    for _ in range(_RUNS):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


def _hash_chunks(data: bytes) -> None:
    view = memoryview(data)
    for start in range(0, len(data), MIB):
        hashlib.sha256(view[start : start + MIB]).digest()


def _copy(data: bytes, target: bytearray) -> None:
    memoryview(target)[:] = data


def _seal_rate(suite: Suite) -> float:
    plaintext, sealer = bytes(FRAME_BODY_MAX), CipherState(suite, bytes(KEY_BYTES))
    return 64 * FRAME_BODY_MAX / _best_s(lambda: [sealer.seal(plaintext) for _ in range(64)].clear())


def _open_rate(suite: Suite) -> float:
    plaintext, sealer = bytes(FRAME_BODY_MAX), CipherState(suite, bytes(KEY_BYTES))
    opener, sealed = CipherState(suite, bytes(KEY_BYTES)), [sealer.seal(plaintext) for _ in range(64 * _RUNS)]
    waiting = iter(sealed)
    return 64 * FRAME_BODY_MAX / _best_s(lambda: [opener.open(next(waiting)) for _ in range(64)].clear())


# ---- two processes on loopback --------------------------------------------------------------------------------------


def _loopback(size: int) -> tuple[float, float]:
    """Bytes per second of CPU for sending and for receiving."""
    here, child = _connected(_send_again_and_again, size, _RUNS)
    target = bytearray(size)
    with here:
        receiver_s = _best_s(lambda: _ask_and_fill(here, target))
        sender_s = float(here.recv(64).decode())
    child.join()
    return size / sender_s, size / receiver_s


def _send_again_and_again(there: socket.socket, size: int, count: int) -> None:
    data, times = memoryview(bytes(size)), []
    for _ in range(count):
        there.recv(1)
        began = time.thread_time()
        for start in range(0, size, _WRITE_BYTES):
            there.sendall(data[start : start + _WRITE_BYTES])
        times.append(time.thread_time() - began)
    there.sendall(f"{min(times):.9f}".encode())


def _answer(there: socket.socket, size: int, count: int) -> None:
    question, answer = bytearray(100), bytes(size)
    for _ in range(count):
        _fill(there, question)
        there.sendall(answer)


def _ask_and_fill(sock: socket.socket, target: bytearray) -> None:
    sock.sendall(b"?")
    _fill(sock, target)


def _fill(sock: socket.socket, target: bytearray) -> None:
    view = memoryview(target)
    while view:
        count = sock.recv_into(view)
        assert count, "the other process is gone"
        view = view[count:]


def _connected(
    work: Callable[[socket.socket, int, int], None], size: int, count: int
) -> tuple[socket.socket, multiprocessing.process.BaseProcess]:
    """A loopback connection to a process that does `work`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = (work, server.getsockname()[1], size, count)
        child = multiprocessing.get_context("spawn").Process(target=_connect, args=arguments)
        child.start()
        here, _ = server.accept()
    here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return here, child


def _connect(work: Callable[[socket.socket, int, int], None], port: int, size: int, count: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as there:
        there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        work(there, size, count)
