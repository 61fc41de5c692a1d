"""What a peer decides, as pure state machines.

    event -> Peer.handle(event, now) -> effects

No socket, no clock, no thread and no dice live here: bytes, time and randomness come in as arguments, and what is to be
done goes out as data (events.py).  The shells that perform it are node/ (sockets and a clock) and the simulators.

    links      who is connected: HELLO, simultaneous dials, liveness, strikes and bans
    dialer     whom to call, and when again
    directory  every signed peer record, kept alike by anti-entropy
    view       who I average with
    exchange   announce / want / chunk: verified payloads in, published payloads out
    round      train, publish, collect, mix; when to wait and when to go on
    peer       all of them together
"""
