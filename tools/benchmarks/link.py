"""How fast an update goes from one process to another: announced, asked for, encrypted, carried, hashed, verified.

Both ends are what a daemon is made of - net/transport.py, protocol/exchange.py, a thread for hashing - without a learner
behind them.  The other process publishes; this one fetches and measures.  Rounds and mixing are measured in rounds.py.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from gossipfl.codec import CODECS
from gossipfl.config import LimitsConfig, ModelConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation, new
from gossipfl.identity import Identity
from gossipfl.net.link import Link
from gossipfl.net.transport import Transport
from gossipfl.protocol import events as ev
from gossipfl.protocol.exchange import Exchange
from gossipfl.wire.chunks import cut, pieces, verify_chunk
from gossipfl.wire.manifest import Manifest, genesis_state, next_state, sign_manifest
from gossipfl.wire.messages import CHUNK, Announce, Done, Want, decode, encode
from gossipfl.wire.records import Frame


def federation(numbers: int) -> Federation:
    return Federation(name="bench", id="01" * 16, key="02" * 32, model=ModelConfig(name="mlp"))


class End:
    def __init__(self, identity: Identity, numbers: int) -> None:
        self.federation = federation(numbers)
        self.identity = identity
        self.limits = LimitsConfig(control_rate_per_s=1e6)
        self.transport = Transport(identity, self.federation, self.limits, self)
        self.exchange = Exchange(self.federation, self.limits, {})
        self.exchange.ready(numbers, CODECS["float32"].payload_bytes(numbers), self.exchange.state)
        self.hashing = ThreadPoolExecutor(1)
        self.loop = asyncio.get_running_loop()
        self.link: Link | None = None
        self.up = asyncio.Event()
        self.done = asyncio.Event()
        self.started = 0.0
        self.times: list[Any] = []
        self.number = 0

    def link_up(self, link): 
        self.link = link
        self.exchange.add(link.peer_id)
        self.up.set()
    def link_down(self, link, reason): print('down', reason, file=sys.stderr); self.done.set()
    def dial_failed(self, a, r): raise SystemExit(r)
    def refused(self, a, e): raise SystemExit(str(e))

    def frame(self, link: Link, frame: Frame) -> None:
        if frame.type == CHUNK:
            self.perform(self.exchange.chunk(link.peer_id, link.number, frame))
            return
        message = decode(frame, 60_000)
        if isinstance(message, Announce):
            self.started = time.perf_counter()
            self.cpu0 = (time.thread_time(), self.hash_cpu())
            self.perform(self.exchange.announced(link.peer_id, link.number, message, None, self.loop.time()))
        elif isinstance(message, Want):
            self.perform(self.exchange.serve(link.number, frame.id, message))
        elif isinstance(message, Done):
            self.done.set()

    def hash_cpu(self):
        return self.hashing.submit(time.thread_time).result()

    def perform(self, effects):
        for effect in effects:
            match effect:
                case ev.Send(number, message, transfer):
                    self.link.send(encode(message, transfer))
                case ev.SendChunks(number, transfer, payload, chunks):
                    self.link.send_bulk(transfer, (body for chunk in chunks for body in pieces(payload, chunk)))
                case ev.VerifyChunk():
                    if len(effect.data) <= 128*1024:
                        self.verified(effect, verify_chunk(effect.data, effect.expected))
                    else:
                        f = self.loop.run_in_executor(self.hashing, verify_chunk, effect.data, effect.expected)
                        f.add_done_callback(lambda d, e=effect: self.verified(e, d.result()))

    def verified(self, e, ok):
        update = self.exchange.verified(e.peer, e.root, e.chunk, ok, self.loop.time())
        if update is not None:
            t = time.perf_counter()
            self.times.append((t - self.started, time.thread_time() - self.cpu0[0], self.hash_cpu() - self.cpu0[1]))
            self.exchange.take(e.peer, None)
            self.number += 1
            self.link.send(encode(Done(round=self.number)))
        self.perform(self.exchange.fetch(e.peer, self.link.number, self.loop.time()))

    def publish(self, payload, number):
        state = next_state(self.exchange.state, payload.root)
        m = Manifest(federation=self.federation.fingerprint, kind="delta", round=number, sequence=number, base=self.exchange.state,
          state=state, codec="float32", size=payload.size, root=payload.root, spec=self.exchange.vectors.spec, examples=1, degree=1, created_ms=int(time.time()*1000))
        self.perform(self.exchange.publish(sign_manifest(self.identity, m), payload, [self.link.number]))

A, B = Identity.from_seed(b'a'*32), Identity.from_seed(b'b'*32)

def sender(address, numbers, count, pipe, profile=False):
    sys.setswitchinterval(0.001)
    async def main():
        end = End(A, numbers)
        end.transport.dial(address, B.peer_id)
        await end.up.wait()
        await asyncio.sleep(0.1)
        cpu = []
        payloads = [cut(secrets.token_bytes(4*numbers)) for _ in range(2 if numbers > 1e6 else 100)]
        for n in range(count):
            c0 = time.thread_time()
            end.done.clear()
            end.publish(payloads[n % len(payloads)], n + 1)
            await end.done.wait()
            cpu.append(time.thread_time() - c0)
        pipe.send(cpu)
        await end.transport.aclose()
    prof(main, profile, '/tmp/b/sender.prof')

def prof(main, on, path):
    if not on:
        return asyncio.run(main())
    import cProfile
    p = cProfile.Profile()
    p.enable(); asyncio.run(main()); p.disable(); p.dump_stats(path)

def run(numbers, count, profile=False):
    sys.setswitchinterval(0.001)
    ctx = multiprocessing.get_context('spawn')
    async def main():
        end = End(B, numbers)
        (address,) = await end.transport.listen('127.0.0.1:0')
        mine, theirs = ctx.Pipe()
        p = ctx.Process(target=sender, args=(address, numbers, count, theirs, profile)); p.start()
        while len(end.times) < count: await asyncio.sleep(0.05)
        cpu = await asyncio.to_thread(mine.recv)
        await end.transport.aclose()
        p.join()
        return end.times, cpu
    if profile:
        prof(lambda: main(), True, '/tmp/b/receiver.prof'); return
    return asyncio.run(main())

if __name__ == '__main__':
    numbers = int(float(sys.argv[1])); count = int(sys.argv[2])
    r = run(numbers, count, len(sys.argv) > 3)
    if r:
        times, cpu = r
        med = lambda v: sorted(v)[len(v)//2]
        w = [t[0] for t in times]
        size = 4*numbers
        print(f"wall median {med(w)*1e3:.2f} ms min {min(w)*1e3:.2f}  = {size/med(w)/1e9:.3f} GB/s, best {size/min(w)/1e9:.3f};  receive loop {med([t[1] for t in times])*1e3:.2f} ms, hash {med([t[2] for t in times])*1e3:.2f} ms, send loop {med(cpu)*1e3:.2f} ms; min {min(t[1] for t in times)*1e3:.2f} {min(t[2] for t in times)*1e3:.2f} {min(cpu)*1e3:.2f}")
