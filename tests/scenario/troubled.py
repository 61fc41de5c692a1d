"""A run made by hand in which much goes wrong: liars are refused, a cut, a kill, a newcomer, a peer that is lost."""

import math
import random

import numpy as np
from made import a_row, a_run, a_scenario

from gossipfl.node.verdicts import Verdict, pack
from gossipfl.scenario.alone import Judged
from gossipfl.scenario.outcome import Happening, Outcome
from gossipfl.scenario.plan import make

SOURCE = """# Much goes wrong, and they learn all the same.
#
# Three lie, some are cut off for a third of the run, one is killed and comes back, one joins late and one is lost.
# Without any of it:
#   gossipfl scenario run troubled --set 'liar=[]' \\
#       --set 'churn=[]'

[scenario]
name = "troubled"   # <script>alert("no")</script>
"""


def a_troubled_run(count=24, rounds=60, *, liars=3, kind="random_regular"):
    """A plan, what came of it, and how it was judged."""
    dice = random.Random(1)
    cut_off, (early, late) = tuple(range(count // 4)), (rounds // 3, rounds // 2)
    plan = make(a_scenario(
        scenario={"name": "troubled", "title": "Trouble & <script>strife</script>", "rounds": rounds,
                  "engine": "virtual"},
        peers={"count": count}, overlay={"kind": kind},
        liar=[{"count": liars, "attack": "sign_flip"}],
        network={"partitions": [{"groups": [cut_off], "at_round": early, "until_round": late}]},
        expect={"accuracy_min": 0.7},
    ))  # fmt: skip
    away = {count // 2: range(rounds // 5, rounds // 3), count // 2 + 1: range(rounds // 4),
            count // 2 + 3: range(2 * rounds // 3, rounds)}                                              # fmt: skip

    def is_apart(a, b, round):
        return early <= round < late and (a in cut_off) != (b in cut_off)

    outcomes = []
    for peer in plan.peers:
        rows, sent = [], 0
        for round in range(rounds):
            if round in away.get(peer.number, ()):
                continue
            there = [other for other in peer.neighbors if round not in away.get(other, ())]
            behind_cut = {other for other in there if is_apart(other, peer.number, round)}
            slow = {other for other in there if dice.random() < 0.02}
            heard = [other for other in there if other not in behind_cut | slow]
            late_ones = slow | (behind_cut if round < early + 4 else set())
            refused = [other for other in heard if plan.peers[other].liar is not None and dice.random() < 0.3]
            sent += 40_000 * len(there) + dice.randrange(9000)
            rows.append(_row(peer, round, sent, len(there), heard, late_ones, refused, plan, dice, rounds))
        lost = {"missing": f"killed by SIGKILL after {rows[-1].round + 1} of {rounds} rounds",
                "last_words": ("= mixed round 7: 5 of 6 heard", "<b>& gone</b>")}                        # fmt: skip
        is_lost = peer.number == count // 2 + 3
        vector = np.full(4, dice.gauss(0, 0.01), np.float32)
        outcomes.append(Outcome(peer=peer, rows=rows, vector=vector, exit_code=0, **(lost if is_lost else {})))
    told = [
        ("kill", rounds // 5, (count // 2,)), ("join", rounds // 4, (count // 2 + 1,)), ("cut", early, cut_off),
        ("start", early + 1, (count // 2,)), ("heal", late, cut_off), ("kill", 2 * rounds // 3, (count // 2 + 3,)),
    ]  # fmt: skip
    happenings = [Happening(time_s=4.0 + 0.25 * round, round=round, kind=kind, peers=peers, text=f"{kind} of {peers}")
                  for kind, round, peers in told]                                                        # fmt: skip
    alone = {peer.number: 0.55 + 0.2 * dice.random() for peer in plan.honest}
    final = {one.peer.number: one.rows[-1].accuracy for one in outcomes}
    return plan, a_run(outcomes, happenings), Judged(size=9610, final=final, alone=alone, of_mean_model=0.93)


def _verdicts(plan, heard, refused):
    """The refused are far away, and so are liars that slipped through; one honest peer in ten is clipped."""
    made, dice = [], random.Random(len(heard))
    for other in heard:
        one = plan.peers[other]
        far = (1.0 if one.liar is None else 6.0) * (0.8 + 0.4 * dice.random())
        kept = 0.0 if other in refused else 0.4 if dice.random() < 0.1 else 1.0
        made.append(Verdict(one.identity.peer_id, far, kept, "rule" if other in refused else ""))
    return pack(made)


def _row(peer, round, sent, expected, heard, late, refused, plan, dice, rounds):
    ids = [one.identity.peer_id for one in plan.peers]
    named = [b"".join(ids[other] for other in sorted(group)) for group in (heard, late, refused)]
    accuracy = 0.93 - 0.8 * math.exp(-6 * (round + 1) / rounds) + dice.gauss(0, 0.012)
    far = np.random.default_rng([peer.number, round]).normal(0, 3 * math.exp(-7 * round / rounds) + 0.02, 256)
    return a_row(
        round, time_s=994.0 + 0.25 * round + 0.05 * dice.random(), bytes_sent=sent, control_bytes_sent=sent // 60,
        accuracy=min(accuracy, 1.0) if peer.liar is None else 0.1 + 0.05 * dice.random(), expected=expected,
        heard=len(heard), late=len(late), refused=len(refused), sketch=far.astype("<f4").tobytes(),
        heard_from=named[0], late_from=named[1], refused_from=named[2], verdicts=_verdicts(plan, heard, refused),
    )  # fmt: skip
