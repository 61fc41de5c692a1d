"""kill -9 at any moment: the store opens, the sequence never goes back, the others go on."""

import random
import subprocess
import time

from daemons import Daemon, a_federation, until

from gossipfl import federation
from gossipfl.identity import Identity
from gossipfl.node.store import Store

KILLS = 50
LONGEST_LIFE = 1.3                   # times what it takes to be heard: from before it listens to well into its rounds


def test_a_daemon_killed_at_fifty_random_moments_comes_back_and_nobody_else_minds(tmp_path):
    agreed, dice = a_federation(tmp_path), random.Random(7)
    with Daemon(agreed, tmp_path / "a") as a, Daemon(agreed, tmp_path / "b", part=1, peers=[a.address]) as b:
        victim = Daemon(agreed, tmp_path / "c", part=2, peers=[a.address, b.address])
        longest_s = LONGEST_LIFE * seconds_until_heard(victim, a)        # a busy machine takes its time
        lives = [life_and_death(victim, agreed, a, dice.uniform(0.0, longest_s)) for _ in range(KILLS)]
        boots, heard = [life[0] for life in lives], [life[1] for life in lives]
        assert boots == sorted(set(boots))
        assert heard == sorted(heard)
        assert heard[-1] > heard[0]
        with victim:
            until(lambda: victim.told(" heard"), "it takes part again")
            assert [a.process.poll(), b.process.poll()] == [None, None]
    story = a.log.read_text() + b.log.read_text() + victim.log.read_text()
    assert "Traceback" not in story
    assert "broke the protocol" not in story             # a sequence that goes back is a replay, and breaks it


def seconds_until_heard(victim, witness):
    """A life that ends when a witness has stored something that the victim signed."""
    began = time.monotonic()
    victim.start()
    until(lambda: (victim.state / "key").exists() and newest(victim, witness), "it is heard")
    took_s = time.monotonic() - began
    victim.kill()
    return took_s


def newest(victim, witness):
    """The victim's newest sequence in the store of a witness, 0 if there is none."""
    seen = witness.query("SELECT sequence FROM signers WHERE signer = ?", victim.key)
    return seen[0][0] if seen else 0


def life_and_death(victim, agreed, witness, life_s):
    """One life of `life_s` seconds, ended with -9.

    Returns how many boots its store has counted then, and its newest sequence in the store of a witness.
    """
    victim.start()
    try:
        victim.process.wait(life_s)
        raise AssertionError(f"it ended by itself: {victim.log.read_text()[-1000:]}")
    except subprocess.TimeoutExpired:
        victim.kill()
    if not (victim.state / "key").exists():              # killed before it had a name
        Identity.generate().save(victim.state / "key")
    identity = Identity.load(victim.state / "key")
    store = Store.open(victim.state, federation.load(agreed), identity.peer_id)
    try:
        boots = store.begin_boot()
    finally:
        store.close()
    return boots, newest(victim, witness)
