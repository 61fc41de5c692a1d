"""What a peer decides, as pure state machines.

    event -> Peer.handle(event, now) -> effects

No socket, no clock, no thread and no dice live here: bytes, time and randomness come in as arguments, and what is to be
done goes out as data (events.py).  The shells that perform it are node/ (sockets and a clock) and the simulators.

    links      who is connected: HELLO, simultaneous dials, liveness, strikes and bans
    dialer     whom to call, and when again
    directory  every signed peer record, kept alike by anti-entropy
    view       who I average with
    proofs     who is proven to lie, and who has still to hear of it
    outreach   whom to be linked with, seen from all of these
    membership these together: who is there and who is mine

    serving    updates out: announce, serve, snapshot
    ledger     what peers signed: may it be, is it new, does it contradict itself
    fetching   updates in: want, chunks, verified, pending (downloads: one payload on its way)
    round      train, publish, collect, mix; when to wait and when to go on
    averaging  these together: what flows over an edge

    peer       membership and averaging behind one `handle`; setup is what it is born with
"""
