"""What the report says of honest peers' conclusions: who stands out, who does not, and who was wronged."""

import numpy as np
import pytest
from made import a_row, a_run, a_scenario, outcomes_of

from gossipfl.node.verdicts import Verdict, pack
from gossipfl.scenario.alone import Judged
from gossipfl.scenario.plan import make
from gossipfl.scenario.report.build import build, metrics
from gossipfl.scenario.report.conclusions import conclusions
from gossipfl.scenario.report.page import render
from gossipfl.scenario.report.summary import text

COUNT, ROUNDS = 6, 10


def a_story(kept, attacks=(("sign_flip", (4, 5)),), distance=None, cause="rule"):
    """Everybody judges everybody: kept(judge, peer, round) gives how much entered, 0 is a refusal, None: not heard.

    attacks: name, peers and maybe options of each.
    """
    liars = [{"peers": list(who), "attack": attack} | dict(*options) for attack, who, *options in attacks]
    scenario = a_scenario(scenario={"rounds": ROUNDS}, peers={"count": COUNT}, liar=liars)
    ids = [peer.identity.peer_id for peer in make(scenario).peers]

    def verdict(judge, peer, round_):
        share = kept(judge, peer, round_)
        return Verdict(ids[peer], distance(peer) if distance else 1.0, share, "" if share else cause)

    def heard(judge, n):
        return [peer for peer in range(COUNT) if peer != judge and kept(judge, peer, n) is not None]

    rows = [
        [a_row(n, verdicts=pack([verdict(judge, peer, n) for peer in heard(judge, n)])) for n in range(ROUNDS)]
        for judge in range(COUNT)
    ]
    return outcomes_of(scenario, [np.zeros(4, np.float32)] * COUNT, rows)


def test_liars_are_named_by_their_refusals_where_they_stand_out():
    _, outcomes = a_story(lambda judge, peer, n: 0.0 if peer >= 4 and n else float(not (peer == 1 and n == 3)))
    found = conclusions(outcomes)
    assert found["sentences"] == [
        "sign_flip: peers 04, 05 were refused in 90 % of rounds; no honest peer in more than 10 %"
    ]
    assert found["warnings"] == []
    assert found["honest_rejection_rate"] == pytest.approx(3 / 120)
    assert found["per_peer"][4] == {
        "number": 4, "judged": 40, "kept": 4, "clipped": 0, "refused": 36, "refused_by_rule": 36,
        "mean_kept": pytest.approx(0.1), "distance_ratio": 1.0,
    }  # fmt: skip


def test_what_liars_conclude_counts_for_nothing():
    _, outcomes = a_story(lambda judge, peer, n: float(judge < 4))
    assert all(one["refused"] == 0 for one in conclusions(outcomes)["per_peer"])


def test_an_attack_that_no_distance_shows_is_said_to_be_invisible():
    _, outcomes = a_story(lambda judge, peer, n: 0.8, [("label_flip", (4, 5))])
    assert conclusions(outcomes)["sentences"] == [
        "label_flip: peers 04, 05 were kept like honest peers: this attack is not visible in distances"
    ]


def test_where_a_rule_only_clips_it_is_told_how_much_was_let_in():
    _, outcomes = a_story(lambda judge, peer, n: 0.125 if peer == 5 else 0.75, [("sign_flip", (5,))])
    (said,) = conclusions(outcomes)["sentences"]
    assert said == "sign_flip: peer 05 was let in by 12 % on average; every honest peer by at least 75 %"


def test_where_a_rule_leaves_most_of_everybody_out_refusals_and_distance_still_tell_who_lies():
    def said(kept, distance=None):
        _, outcomes = a_story(kept, [("sign_flip", (5,))], distance=distance)
        return conclusions(outcomes)["sentences"]

    clipped = said(lambda judge, peer, n: 0.0 if peer == 5 else 0.1, lambda peer: 26.0 if peer == 5 else 1.0)
    assert clipped == ["sign_flip: peer 05 was refused in 100 % of rounds; no honest peer in more than 0 %"]
    picked = said(lambda judge, peer, n: float(peer == n % 5), lambda peer: 36.0 if peer == 5 else 1.0)
    assert picked == ["sign_flip: peer 05 was refused in 100 % of rounds; no honest peer in more than 80 %"]
    (dropped,) = said(lambda judge, peer, n: float(peer == n % 10), lambda peer: 36.0 if peer == 5 else 1.0)
    assert dropped.startswith("sign_flip: peer 05 was 36 times as far away as honest neighbors in the middle, honest")


def test_a_liar_that_the_protocol_threw_out_is_not_said_to_be_kept():
    _, outcomes = a_story(lambda judge, peer, n: None if peer == 5 and n else 0.8 if peer != 1 else 0.7,
                          [("replay", (5,))])                                                            # fmt: skip
    assert conclusions(outcomes)["sentences"] == [
        "replay: peer 05 was judged in 1.0 rounds by whoever heard it, honest peers in 10.0: silent, or kept out "
        "before any rule could judge"
    ]


def test_of_a_liar_that_was_thrown_out_that_is_told_and_not_what_the_last_who_heard_it_made_of_it():
    _, outcomes = a_story(lambda judge, peer, n: 1.0 if peer != 5 or n < 2 else 0.5 if judge < 2 and n < 4 else None,
                          [("replay", (5,))])                                                            # fmt: skip
    (said,) = conclusions(outcomes)["sentences"]
    assert said.startswith("replay: peer 05 was judged in 2.8 rounds by whoever heard it, honest peers in 10.0")


def test_where_only_liars_were_judged_nobody_is_said_to_stand_out_or_not():
    for share in (0.0, 0.7, 0.9):
        _, outcomes = a_story(lambda judge, peer, n, share=share: None if peer < 4 else share)
        assert conclusions(outcomes)["sentences"] == [
            f"sign_flip: peers 04, 05 were let in by {100 * share:.0f} % on average; no honest peer was judged beside "
            "them, so verdicts do not tell who lies"
        ]
    _, outcomes = a_story(lambda judge, peer, n: 0.5 if peer == 4 else None)
    assert conclusions(outcomes)["sentences"] == [
        "sign_flip: peer 04 was let in by 50 % on average; no honest peer was judged beside it, so verdicts do not "
        "tell who lies",
        "sign_flip: peer 05 was judged by nobody",
    ]


def test_an_honest_peer_that_no_rule_saw_is_not_said_to_be_taken_for_a_liar_by_it():
    _, outcomes = a_story(lambda judge, peer, n: float(peer not in {0, 4, 5}), cause="screened")
    (warned,) = conclusions(outcomes)["warnings"]
    assert warned.startswith("peer 00 is honest, and 100 % of its model was left out")
    assert "refused before the rule saw it, in 100 % of rounds" in warned
    assert "takes it for a liar" not in warned


def test_two_attacks_get_a_sentence_each_and_so_do_the_two_halves_of_one():
    _, outcomes = a_story(lambda judge, peer, n: float(peer != 4), [("sign_flip", (4,)), ("label_flip", (5,))])
    assert [said.partition(":")[0] for said in conclusions(outcomes)["sentences"]] == ["label_flip", "sign_flip"]
    _, outcomes = a_story(lambda judge, peer, n: float(peer != 4))
    seen, hidden = conclusions(outcomes)["sentences"]
    assert "peer 04 was refused in 100 %" in seen
    assert "peer 05 was kept like honest peers" in hidden


def test_two_liars_of_one_attack_share_no_mean_that_neither_had():
    def said(fates):
        _, outcomes = a_story(lambda judge, peer, n: fates(n).get(peer, 1.0))
        return conclusions(outcomes)["sentences"]

    assert said(lambda n: {4: 0.0, 5: 0.8}) == [
        "sign_flip: peer 04 was refused in 100 % of rounds; no honest peer in more than 0 %",
        "sign_flip: peer 05 was let in by 80 % on average; every honest peer whole",
    ]
    assert said(lambda n: {4: 0.0, 5: float(n >= 6)}) == [
        "sign_flip: peers 04, 05 were refused in 60 to 100 % of rounds; no honest peer in more than 0 %"
    ]
    as_some, as_all = said(lambda n: {0: 0.0, 4: 0.0})
    assert as_some.startswith("sign_flip: peer 04 was left out by 100 %, honest peers by 25 % on average, but some")
    assert as_all.startswith("sign_flip: peer 05 was kept like honest peers")


def test_a_strike_in_one_round_is_named_where_no_honest_peer_had_such_a_round():
    _, outcomes = a_story(lambda judge, peer, n: float(peer != 5 or n != 9), [("model_replacement", (5,))])
    assert conclusions(outcomes)["sentences"] == [
        "model_replacement: in round 9 peer 05 was refused in 100 % of verdicts; no honest peer in more than 0 %"
    ]
    _, outcomes = a_story(lambda judge, peer, n: 0.2 if peer == 5 and n in (3, 4) else 0.9, [("alie", (4, 5))])
    hidden, seen = sorted(conclusions(outcomes)["sentences"], key=len)
    assert hidden == "alie: peer 04 was kept like honest peers: this attack is not visible in distances"
    assert seen.startswith("alie: ")
    assert "peer 05 was" in seen


def test_a_bad_round_that_honest_peers_have_as_well_tells_nobody_who_lies():
    dropped = [3, 0, 5, 1, 2, 0, 1, 3, 2, 4]                 # one a round, the liars no more often than others
    _, outcomes = a_story(lambda judge, peer, n: float(peer != dropped[n]), [("mimic", (4, 5))])
    assert conclusions(outcomes)["sentences"] == [
        "mimic: peers 04, 05 were kept like honest peers: this attack is not visible in distances"
    ]


def test_a_round_in_which_one_peer_heard_a_liar_and_refused_it_is_chance():
    _, outcomes = a_story(lambda judge, peer, n: 1.0 if (peer, n) != (5, 3) else None if judge else 0.0,
                          [("mimic", (5,))])                                                             # fmt: skip
    assert conclusions(outcomes)["sentences"] == [
        "mimic: peer 05 was kept like honest peers: this attack is not visible in distances"
    ]


@pytest.mark.parametrize("begins", [3, 9])
def test_what_a_liar_did_before_it_lied_is_no_evidence(begins):
    liar = ("model_replacement", (5,), {"from_round": begins})
    _, outcomes = a_story(lambda judge, peer, n: float(peer != 5 or n < begins), [liar])
    assert conclusions(outcomes)["sentences"] == [
        f"model_replacement: peer 05, which lied from round {begins} on, was refused in 100 % of those rounds; no "
        "honest peer in more than 0 %"
    ]
    _, outcomes = a_story(lambda judge, peer, n: float(peer != 5 or n >= begins or judge != n % 4), [liar])
    assert conclusions(outcomes)["sentences"] == [
        f"model_replacement: peer 05, which lied from round {begins} on, was kept like honest peers: this attack is "
        "not visible in distances"
    ]


def test_a_liar_that_fell_silent_is_not_said_to_be_kept_for_what_it_said_before():
    def said(silent, rounds=0):
        away = range(silent, silent + rounds) if rounds else range(silent, ROUNDS)
        _, outcomes = a_story(lambda judge, peer, n: None if peer == 5 and n in away else 0.8,
                              [("silent", (5,), {"from_round": silent, "rounds": rounds})])              # fmt: skip
        return conclusions(outcomes)["sentences"]

    (for_good,), (for_a_while,) = said(7), said(4, rounds=2)
    assert for_good == (
        "silent: peer 05, which lied from round 7 on, was judged in 0.0 rounds by whoever heard it, honest peers in "
        "3.0: silent, or kept out before any rule could judge"
    )
    assert for_a_while.startswith("silent: peer 05, which lied in rounds 4 to 5, was judged in 0.0 rounds")
    assert said(ROUNDS) == ["silent: peer 05 had not begun to lie when the run ended"]


def test_who_was_judged_in_a_round_or_two_neither_clears_a_liar_nor_is_taken_for_one():
    _, outcomes = a_story(lambda judge, peer, n: (0.0 if n == 0 else None) if peer == 1 else float(peer != 5),
                          [("alie", (5,))])                                                              # fmt: skip
    found = conclusions(outcomes)
    assert found["sentences"] == [
        "alie: peer 05 was refused in 100 % of rounds; no honest peer that was judged as often in more than 0 %"
    ]
    assert found["warnings"] == []
    assert (found["per_peer"][1]["judged"], found["per_peer"][1]["refused"]) == (4, 4)
    _, outcomes = a_story(lambda judge, peer, n: (0.0 if n >= 5 else None) if peer == 1 else float(peer != 5),
                          [("alie", (5,))])                                                              # fmt: skip
    (warning,) = conclusions(outcomes)["warnings"]
    assert warning.startswith("peer 01 is honest, and 100 % of its model was left out")


def test_liars_that_are_treated_as_some_honest_peers_are_told_apart_by_nobody():
    _, outcomes = a_story(lambda judge, peer, n: 0.0 if peer in (0, 4, 5) else 1.0)
    found = conclusions(outcomes)
    assert "some of them as much: verdicts alone do not tell who lies" in found["sentences"][0]
    (warning,) = found["warnings"]
    assert warning.startswith("peer 00 is honest, and 100 % of its model was left out")


def test_an_honest_peer_far_from_all_is_wronged_even_where_a_rule_drops_only_the_numbers_in_which_it_differs():
    def warnings(kept, far):
        _, outcomes = a_story(lambda judge, peer, n: kept if peer == 5 else 0.8, [],
                              distance=lambda peer: far if peer == 5 else 1.0)                           # fmt: skip
        return conclusions(outcomes)["warnings"]

    (warning,) = warnings(0.6, 7.0)
    assert "peer 05 is honest, and 40 % of its model was left out, of honest peers in the middle 20 %" in warning
    assert "7.0 times as far away as they are" in warning
    assert warnings(0.6, 2.0) == warnings(0.75, 7.0) == []


def test_a_rule_that_leaves_everybody_out_is_told_as_such_and_wrongs_nobody_in_particular():
    _, outcomes = a_story(lambda judge, peer, n: float(peer == n % 4), [])
    (warning,) = conclusions(outcomes)["warnings"]
    assert warning.startswith("the rule left out 80 % of honest peers' models")


def test_a_rule_that_keeps_all_concludes_nothing_and_without_liars_there_is_nothing_to_say():
    _, outcomes = a_story(lambda judge, peer, n: 1.0)
    assert conclusions(outcomes)["sentences"] == [
        "the rule left nobody out, so honest peers concluded nothing of anybody"
    ]
    _, outcomes = a_story(lambda judge, peer, n: 1.0, [])
    assert conclusions(outcomes)["sentences"] == []


def test_liars_that_are_many_do_not_make_honest_peers_look_far_nor_themselves_near():
    near = dict(attacks=[("mimic", (3, 4, 5))], distance=lambda peer: 0.1 if peer >= 3 else 1.0)
    _, outcomes = a_story(lambda judge, peer, n: 0.6 if peer == 1 else 0.8, **near)
    found = conclusions(outcomes)
    assert found["warnings"] == []
    assert [one["distance_ratio"] for one in found["per_peer"]] == [1, 1, 1] + [pytest.approx(0.1)] * 3
    _, outcomes = a_story(lambda judge, peer, n: 0.5, [("sign_flip", (3, 4, 5))],
                          distance=lambda peer: 36.0 if peer >= 3 else 1.0)                              # fmt: skip
    assert conclusions(outcomes)["sentences"] == [
        "sign_flip: peers 03 to 05 were 36 times as far away as honest neighbors in the middle, honest peers at most "
        "1.0 times; of some of them the rule leaves nearly as much out"
    ]


def test_distances_are_told_against_the_median_of_the_judges_honest_neighbors():
    _, outcomes = a_story(lambda judge, peer, n: 1.0, distance=lambda peer: 8.0 if peer == 5 else 2.0)
    assert [one["distance_ratio"] for one in conclusions(outcomes)["per_peer"]] == [1, 1, 1, 1, 1, 4]


def test_who_isolated_itself_is_told():
    plan, outcomes = outcomes_of(a_scenario(), [np.zeros(4, np.float32)] * 3,
                                 [[a_row(n, isolated=int(n >= 1), gain=-0.25) for n in range(3)], [a_row(0)], []])
    assert conclusions(outcomes)["sentences"] == [
        "peer 00 isolated itself in round 1: its twin that learns alone did better"
    ]                                                                                                    # fmt: skip
    assert conclusions(outcomes)["honest_rejection_rate"] is None
    _, several = outcomes_of(a_scenario(), [np.zeros(4, np.float32)] * 3,
                             [[a_row(n, isolated=int(n >= first)) for n in range(3)] for first in (1, 2, 9)])
    assert conclusions(several)["sentences"] == [
        "peers 00, 01 isolated themselves in rounds 1 to 2: their twins that learn alone did better"
    ]                                                                                                    # fmt: skip
    judged = Judged(size=4, final={0: 0.5, 1: 0.5, 2: 0.5}, alone={0: 0.4, 1: 0.4, 2: 0.4}, of_mean_model=0.5)
    peers = build(plan, a_run(outcomes), judged, wall_s=1.0)["per_peer"]
    assert [(peer["isolated"], peer["gain_over_twin"]) for peer in peers] == [(True, -0.25), (False, None),
                                                                             (False, None)]              # fmt: skip


def a_report(*story):
    plan, outcomes = a_story(*story)
    numbers = dict.fromkeys(range(COUNT), 0.5)
    judged = Judged(size=4, final=numbers, alone={n: 0.4 for n in range(4)}, of_mean_model=0.5)
    return build(plan, a_run(outcomes), judged, wall_s=1.0), metrics(a_run(outcomes)), plan


def test_the_report_the_page_and_the_summary_say_it(tmp_path):
    report, lines, _ = a_report(lambda judge, peer, n: float(peer not in (0, 4, 5)))
    assert report["per_peer"][5]["refused_by_rule"] == 40
    assert report["per_peer"][5]["verdicts"] == {"kept": 0, "clipped": 0, "refused": 40}
    assert [4, 1.0, 0.0, "rule"] in lines[0]["verdicts"]
    assert len(lines[0]["verdicts"]) == COUNT - 1
    said, drawn = text(report, tmp_path), render(report, lines)
    assert "concluded sign_flip: peers 04, 05 were left out by 100 %" in said
    assert "UNFAIR?   peer 00 is honest" in said
    assert "Of honest models, honest peers refused 25.0 %." in drawn
    assert drawn.count('class="verdict-bar"') == COUNT
    assert "Unfair?" in drawn


def test_a_report_of_an_older_run_has_a_page_and_a_summary(tmp_path):
    report, lines, _ = a_report(lambda judge, peer, n: 1.0)
    del report["conclusions"]
    assert "No honest peer came to any conclusion" in render(report, lines)
    assert "concluded" not in text(report, tmp_path)
