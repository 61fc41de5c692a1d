"""One live link per peer, agreed by both ends; silence, refusals, strikes and bans."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network import FEDERATION, Network
from puppet import Stranger, Subject, frames, loud, of, sends

from gossipfl import federation as federations
from gossipfl.config import LimitsConfig, ModelConfig, NodeConfig
from gossipfl.protocol import events as ev
from gossipfl.wire.chunks import cut
from gossipfl.wire.messages import Close, CloseCode, Digest, Ping, Pong

WILD_S = (0.0001, 0.5)                                   # any order of what travels on different links
OTHER = federations.new("other", model=ModelConfig(inputs=(4,)))
OTHER_MODEL = FEDERATION.__class__(name="lab", id=FEDERATION.id, key=FEDERATION.key, model=ModelConfig(inputs=(5,)))


def only_link(node, other):
    """The one End that `node` has, which must lead to the one that `other` has."""
    (end,), (mate,) = node.links.values(), other.links.values()
    assert end.mate is mate
    assert node.linked == {other.name}
    assert other.linked == {node.name}
    return end


@pytest.fixture
def subject():
    return Subject()


# ------------------------------------------------------------------------------------------- one link per peer


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_simultaneous_dials_leave_the_link_that_the_smaller_id_dialed(seed):
    network = Network(seed, latency_s=WILD_S)
    small, large = network.add(2, learns=False)
    network.introduce(small, large, insist=True)
    network.introduce(large, small, insist=True)
    network.run(15)
    number = only_link(small, large).number
    assert small.peer.membership.links.get(number).dialed
    assert small.neighbors == {large.name}
    assert large.neighbors == {small.name}
    assert small.complaints() == large.complaints() == []


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.booleans())
def test_whoever_calls_twice_at_once_ends_with_one_link(seed, is_small):
    network = Network(seed, latency_s=WILD_S)
    caller, called = network.add(2, learns=False)[:: 1 if is_small else -1]
    network.by_host["10.9.9.9:4000"] = called            # its second address
    network.introduce(caller, called, named=False, insist=True)
    caller.feed(ev.Found("10.9.9.9:4000", called.name, True))
    caller.feed(ev.Found("10.9.9.9:4000", None, True))
    network.run(20)
    only_link(caller, called)
    assert caller.neighbors == {called.name}
    assert called.neighbors == {caller.name}
    assert caller.complaints() == called.complaints() == []


def test_the_loser_of_a_simultaneous_dial_lives_until_the_survivor_has_carried_a_hello(subject):
    stranger = Stranger(1 if Stranger(1).name > subject.identity.peer_id else 0)
    mine = subject.connect(stranger, dialed=True)
    theirs = subject.link(stranger)
    assert subject.linked == {stranger.name: theirs}
    assert of(subject.effects, ev.CloseLink) == []
    effects = subject.hears(mine, stranger.hello())
    survivor, loser = (mine, theirs) if subject.identity.peer_id < stranger.name else (theirs, mine)
    assert [(close.link, close.code) for close in of(effects, ev.CloseLink)] == [(loser, CloseCode.DUPLICATE)]
    assert subject.linked == {stranger.name: survivor}


def test_frames_on_a_link_that_is_being_closed_are_ignored(subject):
    stranger = Stranger(1)
    number = subject.link(stranger)
    subject.hears(number, stranger.hello())              # HELLO twice: closed
    strikes = subject.strikes(stranger)
    assert subject.hears(number, Ping(nonce=1)) == []
    assert subject.strikes(stranger) == strikes == 1


def test_a_peer_that_started_again_replaces_its_dead_link_within_two_seconds():
    network = Network(3)
    stayed, again = network.add(2, learns=False)
    network.introduce(again, stayed, insist=True)
    network.run(3)
    (old,) = stayed.links.values()
    again.crash(power=True)
    again.move()                                         # so that nobody resets the old link
    again.start()
    network.introduce(again, stayed, insist=True)
    network.run(2.6)                                     # its first call took some of it
    assert old.is_closing
    assert network.until(lambda: again.linked == {stayed.name}, 2)
    network.run(3)
    only_link(again, stayed)
    assert stayed.complaints() == again.complaints() == []


def test_a_copied_key_is_refused_and_both_sides_are_told_loudly():
    network = Network(4)
    other, original = network.add(2, learns=False)
    network.introduce(original, other, insist=True)
    network.run(3)
    first = only_link(original, other)
    copy = network.add(1, start=False, learns=False)[0]
    copy.identity, copy.name = original.identity, original.name
    copy.start()
    network.introduce(copy, other, insist=True)
    network.run(120)
    assert only_link(original, other) is first
    assert copy.links == {}
    assert len(other.told("key")) == 1
    assert copy.told("identity in use")


def test_my_own_address_is_recognized_and_never_dialed_again():
    network = Network(5)
    (alone,) = network.add(1, learns=False)
    network.introduce(alone, alone, named=False, insist=True)
    network.run(300)
    assert alone.links == {}
    assert alone.complaints() == []
    assert not alone.peer.membership.dialer.strangers


def test_my_own_key_on_another_machine_is_told_loudly_on_both():
    network = Network(6)
    original, copy = network.add(2, start=False, learns=False)
    copy.identity, copy.name = original.identity, original.name
    original.start()
    copy.start()
    network.introduce(copy, original, named=False, insist=True)
    network.run(300)
    assert all(1 <= len(node.told("own key")) <= 2 for node in (original, copy))
    assert original.links == copy.links == {}


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"federation": OTHER.fingerprint}, CloseCode.VIOLATION, "another federation"),
        ({"terms": OTHER_MODEL.terms, "summary": "cnn 28x28"}, CloseCode.OTHER_MODEL, "trains cnn 28x28"),
        ({"versions": (2, 3)}, CloseCode.OTHER_VERSION, "speaks protocol 2 to 3, this peer speaks 1"),
    ],
)
def test_other_terms_are_refused_by_name_and_told_once(subject, changes, code, words):
    stranger = Stranger(1)
    told = []
    for _ in range(3):
        effects = subject.hears(subject.connect(stranger), stranger.hello(**changes))
        told += loud(effects)
        assert [close.code for close in of(effects, ev.CloseLink)] == [code]
    assert subject.linked == {}
    assert len(told) == 1
    assert words in told[0]
    assert subject.strikes(stranger) == 0


def test_a_peer_of_another_model_is_told_why_and_calls_again_rarely():
    network = Network(7)
    (mine,) = network.add(1, learns=False)
    (theirs,) = network.add(1, federation=OTHER_MODEL, learns=False)
    network.introduce(mine, theirs, insist=True)
    network.run(600)
    assert len(mine.told("trains")) == len(theirs.told("trains")) == 1
    assert 5 <= len(mine.dials) <= 15


def test_two_federations_on_one_network_never_mix():
    network = Network(8)
    ours, theirs = network.add(3, learns=False), network.add(3, federation=OTHER, learns=False)
    network.introduce_all()
    network.run(60)
    for nodes in (ours, theirs):
        names = {node.name for node in nodes}
        for node in nodes:
            assert node.linked == names - {node.name}
            assert set(node.records) == names
            assert node.complaints() == []


# --------------------------------------------------------------------------------------------- out of turn


@pytest.mark.parametrize("message", [Ping(nonce=1), Digest(buckets=(b"x" * 32,) * 16)])
def test_anything_before_hello_is_a_violation(subject, message):
    stranger = Stranger(1)
    effects = subject.hears(subject.connect(stranger), message)
    assert [close.code for close in of(effects, ev.CloseLink)] == [CloseCode.VIOLATION]
    assert "OutOfTurn" in loud(effects)[0]
    assert subject.strikes(stranger) == 1


def test_a_chunk_before_hello_is_a_violation(subject):
    stranger = Stranger(1)
    effects = subject.hears_frame(subject.connect(stranger), frames(cut(b"x"), 1)[0])
    assert "OutOfTurn" in loud(effects)[0]
    assert subject.strikes(stranger) == 1


def test_hello_twice_is_a_violation(subject):
    stranger = Stranger(1)
    effects = subject.hears(subject.link(stranger), stranger.hello())
    assert "OutOfTurn" in loud(effects)[0]
    assert subject.linked == {}


def test_a_close_may_come_before_hello(subject):
    stranger = Stranger(1)
    effects = subject.hears(subject.connect(stranger), Close(code=CloseCode.BUSY, text="full"))
    assert effects == []
    assert subject.strikes(stranger) == 0


@pytest.mark.parametrize("record", [b"junk", Stranger(2).record()], ids=["junk", "another's"])
def test_a_hello_with_a_record_that_is_not_its_senders_breaks_only_its_own_link(subject, record):
    stranger = Stranger(1)
    old = subject.link(stranger)
    effects = subject.hears(subject.connect(stranger), stranger.hello(record=record))
    assert [close.link for close in of(effects, ev.CloseLink)] == [old + 1]
    assert subject.linked == {stranger.name: old}
    assert subject.strikes(stranger) == 1


# --------------------------------------------------------------------------------------------------- silence


def test_an_idle_link_is_pinged_after_five_seconds_and_dead_after_twenty(subject):
    number = subject.link(Stranger(1))
    assert sends(subject.wait(4), Ping) == []
    assert sends(subject.wait(2), Ping)
    effects = subject.wait(13)
    assert of(effects, ev.CloseLink) == []
    (close,) = of(subject.wait(3), ev.CloseLink)
    assert (close.link, close.code) == (number, CloseCode.SILENT)


def test_any_frame_keeps_a_link_alive(subject):
    number = subject.link(Stranger(1))
    for nonce in range(10):
        assert of(subject.wait(15), ev.CloseLink) == []
        subject.hears(number, Pong(nonce=nonce))


def test_a_link_that_never_says_hello_is_closed(subject):
    subject.connect(Stranger(1))
    (close,) = of(subject.wait(25), ev.CloseLink)
    assert close.code == CloseCode.SILENT


def test_my_own_lateness_declares_nobody_dead(subject):
    subject.link(Stranger(1))
    subject.wait(3)
    subject.now += 30
    effects = subject.handle(ev.Tick())
    assert of(effects, ev.CloseLink) == []
    assert of(subject.wait(10), ev.CloseLink) == []
    assert of(subject.wait(15), ev.CloseLink)            # but silence after that is silence


def test_a_cut_path_is_noticed_by_both_ends_within_twenty_two_seconds():
    network = Network(9)
    one, other = network.add(2, learns=False)
    network.introduce_all()
    network.run(3)
    network.cut([one], [other])
    network.run(16)
    assert one.linked == {other.name}
    network.run(6)
    assert one.linked == other.linked == set()
    network.heal()
    assert network.until(lambda: one.linked == {other.name} and other.linked == {one.name}, 70)


def test_a_sleeper_wakes_up_among_its_peers():
    network = Network(10)
    nodes = network.add(3, learns=False)
    network.introduce_all()
    network.run(5)
    nodes[0].sleep(30)
    network.run(60)
    assert all(len(node.linked) == 2 for node in nodes)
    assert all(node.complaints() == [] for node in nodes)
    assert not [text for _, _, text, _ in nodes[0].stories if "silent" in text]


# -------------------------------------------------------------------------------------------- strikes and bans


def test_strikes_lead_to_a_ban_that_ends_and_doubles(subject):
    limits = LimitsConfig()
    stranger = Stranger(1)
    for _ in range(limits.strikes_max):
        subject.hears(subject.connect(stranger), Ping(nonce=1))
    assert subject.peer.membership.links.is_banned(stranger.name, subject.now)
    number = subject.connect(stranger)
    assert of(subject.effects, ev.CloseLink)[-1].code == CloseCode.BANNED
    subject.hears(number, stranger.hello())              # was on its way before it heard
    assert subject.linked == {}

    subject.wait(limits.ban_s + 1)
    assert subject.link(stranger) == subject.linked[stranger.name]
    subject.hears(subject.linked[stranger.name], stranger.hello())
    subject.wait(limits.ban_s + 1)
    assert subject.peer.membership.links.is_banned(stranger.name, subject.now)


def test_every_day_forgives_half_of_the_strikes():
    subject, stranger, day = Subject(), Stranger(1), 86_400.0
    links = subject.peer.membership.links
    assert [links.strike(stranger.name, subject.now) for _ in range(3)] == [False, False, True]
    assert links.manners[stranger.name].strikes == 3
    links.strike(stranger.name, subject.now + 0.9 * day)
    assert links.manners[stranger.name].strikes == 4
    assert not links.strike(stranger.name, subject.now + 2.9 * day)
    assert links.manners[stranger.name].strikes == 2     # a quarter of four, and this one
    assert not links.strike(stranger.name, subject.now + 900 * day)
    assert links.manners[stranger.name].strikes == 1


def test_a_rule_broken_below_the_messages_is_a_strike_too_and_a_cut_link_is_none(subject):
    stranger = Stranger(1)
    for broken in (False, True, True, True):
        assert not subject.peer.membership.links.is_banned(stranger.name, subject.now)
        subject.handle(ev.LinkDown(subject.link(stranger), "gone", broken=broken))
    assert subject.peer.membership.links.is_banned(stranger.name, subject.now)


def test_one_strike_less_than_the_bound_is_no_ban():
    limits = LimitsConfig(strikes_max=5)
    subject, stranger = Subject(NodeConfig(limits=limits)), Stranger(1)
    for _ in range(4):
        subject.hears(subject.connect(stranger), Ping(nonce=1))
    assert not subject.peer.membership.links.is_banned(stranger.name, subject.now)
    subject.hears(subject.connect(stranger), Ping(nonce=1))
    assert subject.peer.membership.links.is_banned(stranger.name, subject.now)


def test_the_memory_of_manners_is_bounded_and_keeps_the_banned():
    subject, liar = Subject(NodeConfig(limits=LimitsConfig(directory_records_max=20))), Stranger(1)
    for _ in range(3):
        subject.hears(subject.connect(liar), Ping(nonce=1))
    for number in range(2, 40):
        subject.hears(subject.connect(Stranger(number)), Ping(nonce=1))
    links = subject.peer.membership.links
    assert len(links.manners) <= 20
    assert links.is_banned(liar.name, subject.now)


def test_of_two_calls_of_mine_the_later_survives_even_if_the_earlier_is_greeted_last(subject):
    stranger = Stranger(1)
    early, late = subject.connect(stranger, dialed=True), subject.connect(stranger, dialed=True)
    subject.hears(late, stranger.hello())
    effects = subject.hears(early, stranger.hello())
    assert [(close.link, close.code) for close in of(effects, ev.CloseLink)] == [(early, CloseCode.DUPLICATE)]
    assert subject.peer.membership.links.by_peer[stranger.name].number == late
