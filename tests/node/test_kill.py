"""kill -9 at any moment: the store opens, the sequence never goes back, the others go on."""

import random
import subprocess
import time

from daemons import Daemon, a_federation, until

from gossipfl import federation
from gossipfl.identity import Identity
from gossipfl.node.store import Store

KILLS = 50
BOOT_BITS = 32                       # a sequence is (boot << 32) + counter
MEASURED_EVERY = 10                  # lives: how long one takes to be heard is measured again
LONGEST_LIFE = 1.3                   # times that: from before it listens to well into its rounds


def test_a_daemon_killed_at_fifty_random_moments_comes_back_and_nobody_else_minds(tmp_path):
    agreed, dice = a_federation(tmp_path), random.Random(7)
    with Daemon(agreed, tmp_path / "a") as a, Daemon(agreed, tmp_path / "b", part=1, peers=[a.address]) as b:
        a.wait_rounds(1)             # both are at work, and so leave the victim as much of the machine as later on
        victim = Daemon(agreed, tmp_path / "c", part=2, peers=[a.address, b.address])
        boots, heard = [0], [0]
        for life in range(KILLS):
            if life % MEASURED_EVERY == 0:
                longest_s = LONGEST_LIFE * seconds_until_heard(victim, a, boots[-1])
            else:
                live(victim, dice.uniform(0.0, longest_s))
            boots.append(next_boot(victim, agreed))
            heard.append(newest(victim, a))
        assert boots == sorted(set(boots))
        assert heard == sorted(heard)
        with victim:
            until(lambda: victim.told(" heard"), "it takes part again")
            assert [a.process.poll(), b.process.poll()] == [None, None]
    story = a.log.read_text() + b.log.read_text() + victim.log.read_text()
    assert "Traceback" not in story
    assert "broke the protocol" not in story             # a sequence that goes back is a replay, and breaks it


def seconds_until_heard(victim, witness, boot):
    """A life after boot number `boot`; it ends with -9 when a witness has stored what the victim signed in it."""
    began = time.monotonic()
    victim.start()
    until(lambda: newest(victim, witness) >= (boot + 1) << BOOT_BITS, "it is heard")
    took_s = time.monotonic() - began
    victim.kill()
    return took_s


def newest(victim, witness):
    """The victim's newest sequence in the store of a witness, 0 if there is none."""
    if not (victim.state / "key").exists():
        return 0
    seen = witness.query("SELECT sequence FROM signers WHERE signer = ?", victim.key)
    return seen[0][0] if seen else 0


def live(victim, life_s):
    """One life of `life_s` seconds, ended with -9."""
    victim.start()
    try:
        victim.process.wait(life_s)
        raise AssertionError(f"it ended by itself: {victim.log.read_text()[-1000:]}")
    except subprocess.TimeoutExpired:
        victim.kill()


def next_boot(victim, agreed):
    """The store opens after a life, whatever it was killed at; returns how many boots it has counted."""
    store = Store.open(victim.state, federation.load(agreed), Identity.load(victim.state / "key").peer_id)
    try:
        return store.begin_boot()
    finally:
        store.close()
