"""The words of the summary follow the figures."""

from pathlib import Path

import numpy as np
from made import a_run, a_scenario, outcomes_of

from gossipfl.scenario.alone import Judged
from gossipfl.scenario.outcome import Happening
from gossipfl.scenario.report.build import build
from gossipfl.scenario.report.summary import text

VECTORS = [np.zeros(4, np.float32)] * 3


def summary(final, alone, scenario=None, happenings=(), **changes):
    plan, outcomes = outcomes_of(scenario or a_scenario(), VECTORS, **changes)
    judged = Judged(size=4, final=dict(enumerate(final)), alone=dict(enumerate(alone)), of_mean_model=0.9)
    report = build(plan, a_run(outcomes, happenings), judged, wall_s=20.0)
    return text(report, Path("runs/tiny"), Path("runs/tiny/report.html"))


def test_it_says_what_learning_together_gained_and_who_was_worst():
    said = summary([0.9, 0.7, 0.8], [0.4, 0.5, 0.6])
    assert "gained +0.3000" in said
    assert "peer 01 with 0.7000; alone it reaches 0.5000" in said
    assert "liar" not in said


def test_it_names_the_folder_and_the_page_to_open():
    said = summary([0.9, 0.7, 0.8], [0.4, 0.5, 0.6]).splitlines()
    assert {"  files     runs/tiny", "  page      runs/tiny/report.html"} <= set(said)


def test_a_liar_that_failed_and_one_that_succeeded_are_told_apart():
    liar = a_scenario(liar=[{"peers": [2], "attack": "sign_flip", "scale": 4.0}])
    assert "peer 02 tried sign_flip, scale 4" in summary([0.9, 0.8, 0.1], [0.4, 0.5], liar)
    assert "and failed: the worst honest peer still reached 0.8000" in summary([0.9, 0.8, 0.1], [0.4, 0.5], liar)
    assert "and succeeded: honest peers would do better alone, by 0.3500" in summary([0.1, 0.1, 0.1], [0.4, 0.5], liar)


def test_a_worst_strength_that_daemons_could_not_look_for_is_not_claimed():
    def tried(engine, **options):
        liar = a_scenario(scenario={"engine": engine}, liar=[{"peers": [2], "attack": "alie", **options}])
        return summary([0.9, 0.8, 0.1], [0.4, 0.5], liar)

    assert "tried alie, strength 1.5 (not the worst: daemons cannot ask the rule) for" in tried("processes")
    assert "tried alie, strength worst for" in tried("virtual")
    assert "tried alie, strength 0.5 for" in tried("processes", strength=0.5)


def test_a_liar_that_spoiled_a_promise_did_harm_although_together_is_still_better():
    liar = a_scenario(liar=[{"peers": [2], "attack": "sign_flip"}], expect={"accuracy_min": 0.95})
    said = summary([0.9, 0.8, 0.1], [0.4, 0.5], liar)
    assert "and did harm: the worst honest peer reached 0.8000, and a promise was missed" in said


def test_a_liar_that_drove_one_honest_peer_below_its_twin_did_harm_although_the_mean_gained():
    liar = a_scenario(liar=[{"peers": [2], "attack": "sign_flip"}])
    assert "and did harm: the worst honest peer reached 0.1000, and 0.5000 alone" in summary([0.9, 0.1, 0.1],
                                                                                             [0.2, 0.5], liar)


def test_liars_who_try_the_same_share_a_line_and_so_do_peers_that_nobody_heard():
    said = summary([0.9, 0.1, 0.1], [0.4], a_scenario(liar=[{"peers": [1, 2], "attack": "label_flip"}]))
    assert "liar      peers 01, 02 tried label_flip for 3 rounds" in said
    assert "unheard   peers 01, 02 were not heard by anybody in rounds 0 to 2" in said


def test_faults_are_told_with_their_time_and_not_more_than_a_person_reads():
    faults = [Happening(time_s=2.5 + n, round=n, kind="kill", peers=(1,), text="kill -9 peer 01") for n in range(20)]
    said = summary([0.9, 0.8, 0.7], [0.4, 0.5, 0.6], happenings=faults)
    assert "happened     2.5 s, round 0: kill -9 peer 01" in said
    assert "happened  and 8 more" in said


def test_two_sections_of_one_attack_are_told_with_their_own_options():
    liars = [{"peers": [1], "attack": "sign_flip", "scale": 2.0}, {"peers": [2], "attack": "sign_flip", "scale": 8.0}]
    said = summary([0.9, 0.8, 0.1], [0.4], a_scenario(liar=liars))
    assert "peer 01 tried sign_flip, scale 2 for" in said
    assert "peer 02 tried sign_flip, scale 8 for" in said


def test_a_missing_peer_is_named_with_its_last_words():
    lost = {"missing": "killed by SIGKILL after 1 of 3 rounds", "last_words": ("= mixed round 0",)}
    said = summary([0.9, 0.8, 0.7], [0.4, 0.5, 0.6], peer1=lost)
    assert "peer 01: killed by SIGKILL after 1 of 3 rounds" in said
    assert "| = mixed round 0" in said


def test_a_missed_promise_is_said_loudly():
    said = summary([0.9, 0.8, 0.7], [0.4, 0.5, 0.6], a_scenario(expect={"accuracy_min": 0.95}))
    assert "MISSED    accuracy_min" in said
