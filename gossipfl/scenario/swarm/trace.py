"""A run as a person reads it: one line per event and effect, messages in short words, faults as headlines.

      time s  peer
      12.3456  03  > 05 ANNOUNCE round 7 delta 16 B seq 1.31
      12.4000  --  == peer 05: kill -9, for 1.50 s

Marks: > sent, < received, = state, ! refused, x closed.  Works for every simulation (`Network.told`); which lines are
shown is the caller's choice (tools/trace.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gossipfl.errors import PeerError
from gossipfl.protocol import events as ev
from gossipfl.scenario.virtual.agenda import START_S
from gossipfl.scenario.virtual.machine import Machine
from gossipfl.wire import messages
from gossipfl.wire.chunks import parse_piece
from gossipfl.wire.manifest import open_manifest
from gossipfl.wire.messages import CHUNK, CloseCode, Message
from gossipfl.wire.records import Frame

_MESSAGE_BYTES_MAX = 1 << 16
_SEQUENCE_BITS = 32                             # the start is above, the count below


class Line(NamedTuple):
    """One line of a trace."""

    time_s: float                               # since the beginning
    peer: int | None                            # None: a headline
    mark: str
    text: str
    is_routine: bool = False                    # pings, ticks and what is only kept

    def __str__(self) -> str:
        peer = "--" if self.peer is None else f"{self.peer:02d}"
        return f"{self.time_s:10.4f}  {peer}  {self.mark:<2} {self.text}"


class Trace:
    """Turns what a network tells into lines."""

    def __init__(self, show: Callable[[Line], None]) -> None:
        self._show = show

    def told(self, machine: Machine, thing: ev.Event | ev.Effect) -> None:
        """For `Network.told`."""
        said = _words(machine, thing)
        if said is not None:
            mark, text = said
            for other in machine.network.machines:       # a person counts peers, and does not know their keys
                text = text.replace(other.name.short, f"peer {other.number:02d}")
            self._show(Line(machine.network.agenda.now - START_S, machine.number, mark, text, _is_routine(thing)))

    def headline(self, time_s: float, text: str) -> None:
        self._show(Line(time_s, None, "==", text))


def _words(machine: Machine, thing: ev.Event | ev.Effect) -> tuple[str, str] | None:
    """The mark and the words of an event or effect; None for what another line says as well."""
    match thing:
        case ev.Received(link, frame):
            return "<", f"{_who(machine, link)} {_frame_words(frame)}"
        case ev.Send(link, message, transfer):
            return ">", f"{_who(machine, link)} {_message_words(message, transfer)}"
        case ev.SendChunks(link, transfer, payload, chunks):
            return ">", f"{_who(machine, link)} CHUNKS {_span(chunks)} of {payload.root[:4].hex()} #{transfer}"
        case ev.CancelChunks(link, transfer):
            return "=", f"{_who(machine, link)} no longer wants #{transfer}"
        case ev.CloseLink(link, code, text):
            return "x", f"{_who(machine, link)} CLOSE {CloseCode(code).name}: {text}"
        case ev.Story(mark, text):
            return mark, text
        case ev.KeepRecord() | ev.DropRecord() | ev.KeepManifest() | ev.KeepProof() | ev.VerifyChunk():
            return None
        case _:
            return _own_words(machine, thing)


def _own_words(machine: Machine, thing: ev.Event | ev.Effect) -> tuple[str, str]:
    """What concerns no message."""
    match thing:
        case ev.LinkUp(link, _, dialed, address):
            return "=", f"link {link} to {_who(machine, link)} is up, {'dialed' if dialed else 'accepted'} {address}"
        case ev.LinkDown(link, reason):
            return "x", f"link {link} is down: {reason}"
        case ev.Found(host, peer):
            return "=", f"hears of {peer.short if peer is not None else 'somebody'} at {host}"
        case ev.Dial(host):
            return ">", f"dials {host}"
        case ev.DialFailed(host, reason):
            return "!", f"dial of {host} failed: {reason}"
        case ev.Ready(_, round_, state):
            return "=", f"is ready for round {round_}, state {_name(state)}"
        case ev.Train(round_):
            return "=", f"trains round {round_}"
        case ev.Trained(round_, payload):
            return "=", f"has trained round {round_}: {_size(payload.size)}, root {_name(payload.root)}"
        case ev.Mix():
            return "=", _mix_words(thing)
        case ev.Mixed(round_, _, broken):
            return "=", f"has mixed round {round_}" + (f", broken: {len(broken)}" if broken else "")
        case ev.Verified(peer, root, chunk, ok):
            what = f"chunk {chunk} of {_name(root)} from {peer.short}"
            return ("=", f"{what} holds") if ok else ("!", f"{what} is wrong")
        case ev.SnapshotReady(state):
            return "=", f"has a snapshot of {_name(state)}"
        case ev.Forget(peer):
            return "=", f"forgets {peer.short}"
        case ev.Finished(reason):
            return "x", f"finished: {reason}"
        case _:
            return "=", type(thing).__name__.lower()


def _mix_words(mix: ev.Mix) -> str:
    behind = ", catching up" if mix.catching_up else ""
    late = f", late {', '.join(peer.short for peer in mix.late)}" if mix.late else ""
    return f"mixes round {mix.round}: heard {mix.heard} of {mix.expected}{late}{behind}"


def _frame_words(frame: Frame) -> str:
    if frame.type == CHUNK:
        piece = parse_piece(frame.body)
        return f"CHUNK {piece.chunk} +{piece.offset} {_size(len(piece.data))} #{frame.id}"
    try:
        message = messages.decode(frame, _MESSAGE_BYTES_MAX)
    except PeerError as error:
        return f"nonsense: {error}"
    return _message_words(message, frame.id) if message is not None else f"extension 0x{frame.type:02x}"


def _message_words(message: Message, transfer: int) -> str:
    name = type(message).__name__.upper()
    match message:
        case messages.Announce(manifest=manifest):
            return f"{name} {_manifest_words(manifest)}"
        case messages.Want(root=root, chunks=chunks):
            return f"{name} {_span(chunks)} of {_name(root)} #{transfer}"
        case messages.Refuse(root=root, reason=reason):
            return f"{name} {_name(root)}: {reason} #{transfer}"
        case messages.Cancel():
            return f"{name} #{transfer}"
        case messages.Neighbor(kind=kind, urgent=urgent):
            return f"{name} {kind}{' urgently' if urgent else ''}"
        case messages.Disconnect(reason=reason):
            return f"{name} {reason}"
        case messages.Close(code=code, text=text):
            return f"{name} {CloseCode(code).name}: {text}"
        case messages.Done(round=round_):
            return f"{name} after round {round_}"
        case messages.Hello(boot=boot):
            return f"{name} boot {boot[:4].hex()}"
        case messages.Records(envelopes=envelopes):
            return f"{name} of {', '.join(sorted(envelope[:4].hex() for envelope in envelopes))}"
        case messages.Summary(bucket=bucket, entries=entries):
            return f"{name} of bucket {bucket}, {len(entries)} entries"
    return name


def _manifest_words(envelope: bytes) -> str:
    try:
        manifest = open_manifest(envelope).document
    except PeerError as error:
        return f"nonsense: {error}"
    start, count = manifest.sequence >> _SEQUENCE_BITS, manifest.sequence % (1 << _SEQUENCE_BITS)
    states = f"{_name(manifest.base)}>{_name(manifest.state)}" if manifest.kind == "delta" else _name(manifest.state)
    return f"round {manifest.round} {manifest.kind} {_size(manifest.size)} seq {start}.{count} {states}"


def _is_routine(thing: ev.Event | ev.Effect) -> bool:
    if isinstance(thing, ev.Send):
        return isinstance(thing.message, messages.Ping | messages.Pong)
    if isinstance(thing, ev.Received):
        return messages.TYPES.get(thing.frame.type) in (messages.Ping, messages.Pong)
    return isinstance(thing, ev.Tick)


def _who(machine: Machine, link: int) -> str:
    """The number of the peer at the other end."""
    end = machine.ends.get(link)
    return f"link {link}" if end is None else f"{end.mate.machine.number:02d}"


def _name(digest: bytes) -> str:
    return digest[:3].hex()


def _size(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{size / 1000:.1f} kB"


def _span(chunks: tuple[int, ...]) -> str:
    return str(chunks[0]) if len(chunks) == 1 else f"{chunks[0]}-{chunks[-1]}"
