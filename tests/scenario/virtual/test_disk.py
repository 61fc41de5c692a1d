"""What a simulated machine keeps is what the real store keeps, and a crash takes what was not written yet."""

from hypothesis import given, settings
from hypothesis import strategies as st
from small import FEDERATION, a_network, is_mesh

from gossipfl.node.store import Store
from gossipfl.scenario.plan import identity_of
from gossipfl.scenario.virtual.agenda import Agenda
from gossipfl.scenario.virtual.disk import WRITE_S, Disk, Keeper

PEERS = [identity_of(0, number).peer_id for number in range(4)]
Peers = st.sampled_from(PEERS)
Numbers = st.integers(0, 80)
Operation = st.one_of(
    st.tuples(st.just("record"), Peers, Numbers),
    st.tuples(st.just("drop"), Peers),
    st.tuples(st.just("manifest"), Peers, Numbers),
    st.tuples(st.just("proof"), Numbers, Numbers),
    st.tuples(st.just("trust"), Peers, Numbers),
    st.tuples(st.just("boot")),
)


def do(store, disk, operation):
    match operation:
        case ("record", peer, sequence):
            store.put_records([(peer, sequence, b"r%d" % sequence)])
            disk.put_record(peer, sequence, b"r%d" % sequence)
        case ("drop", peer):
            store.drop_records([peer])
            disk.drop_records([peer])
        case ("manifest", peer, sequence):
            store.put_manifest(peer, sequence, "delta", sequence, b"m%d" % sequence)
            disk.put_manifest(peer, sequence, b"m%d" % sequence)
        case ("proof", first, second):
            store.put_proof(b"%d" % first, b"%d" % second)
            disk.put_proof(b"%d" % first, b"%d" % second)
        case ("trust", peer, number):
            store.put_trust([(peer, number / 80, number)])
            disk.put_trust([(peer, number / 80, number)])
        case ("boot",):
            assert store.begin_boot() == disk.begin_boot()


@settings(max_examples=40, deadline=None)
@given(st.lists(Operation, max_size=120))
def test_whatever_is_put_into_both_the_simulated_disk_and_the_store_answer_alike(tmp_path_factory, operations):
    store, disk = Store.open(tmp_path_factory.mktemp("state"), FEDERATION, PEERS[0]), Disk()
    try:
        for operation in operations:
            do(store, disk, operation)
        assert disk.records() == store.records()
        assert disk.last_sequences() == store.last_sequences()
        assert disk.proofs() == store.proofs()
        assert disk.trust() == store.trust()
        for peer in PEERS:
            assert disk.manifests(peer) == store.manifests(peer)
    finally:
        store.close()


def test_both_forget_the_oldest_beyond_their_bounds(tmp_path, monkeypatch):
    from gossipfl.node import store as real
    from gossipfl.scenario.virtual import disk as simulated

    for module in (real, simulated):
        for name, bound in (("RECORDS_MAX", 2), ("SIGNERS_MAX", 2), ("MANIFESTS_PER_SIGNER_MAX", 3), ("PROOFS_MAX", 2)):
            monkeypatch.setattr(module, name, bound)
    store, disk = Store.open(tmp_path, FEDERATION, PEERS[0]), Disk()
    for number, peer in enumerate(PEERS):
        for sequence in range(5):
            do(store, disk, ("record", peer, sequence))
            do(store, disk, ("manifest", peer, sequence))
        do(store, disk, ("proof", number, 100 + number))
    assert disk.records() == store.records()
    assert len(disk.records()) == 2
    assert disk.last_sequences() == store.last_sequences()
    assert len(disk.last_sequences()) == 2
    assert [disk.manifests(peer) for peer in PEERS] == [store.manifests(peer) for peer in PEERS]
    assert disk.proofs() == store.proofs()
    assert len(disk.proofs()) == 2
    store.close()


def test_a_crash_takes_what_was_not_written_and_an_orderly_end_writes_it():
    for ending, kept in (("crash", []), ("settle", [b"r1"])):
        agenda, disk = Agenda(), Disk()
        keeper = Keeper(agenda, disk)
        keeper.keep(disk.put_record, PEERS[0], 1, b"r1")
        getattr(keeper, ending)()
        agenda.run(10 * WRITE_S)
        assert disk.records() == kept
        if ending == "settle":
            continue
        later = Keeper(agenda, disk)                             # the next start of the process
        later.keep(disk.put_record, PEERS[0], 2, b"r2")
        agenda.run(2 * WRITE_S)
        assert disk.records() == [b"r2"]


def test_a_machine_that_starts_again_knows_whom_it_met():
    network, machines = a_network(3)
    assert network.agenda.until(lambda: is_mesh(machines), 5.0)
    network.agenda.run(1.0)
    machines[0].crash()
    machines[0].start()                                          # and nobody tells it of the others
    assert len(machines[0].peer.membership.directory.others) == 2
    assert network.agenda.until(lambda: is_mesh(machines), 10.0)
