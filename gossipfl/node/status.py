"""What a running node says about itself, over HTTP on this machine only.

    GET /status   GET /peers   GET /topology      JSON
    GET /metrics                                  Prometheus text

Decides who may ask: whoever is on this machine, and no page of a browser that a name server lured here.  Ignores what
the answers hold: the daemon's view does.  It answers one small GET per connection with thirty lines of asyncio instead
of aiohttp, which would cost every node 16 MB of memory and 190 ms of start for features that nothing here uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gossipfl.errors import ConfigError, StateError
from gossipfl.net import addresses
from gossipfl.node.metrics import CONTENT_TYPE, Metrics

REQUEST_BYTES_MAX = 8192
REQUEST_S = 5.0                                  # from connecting to the last byte of the answer
CONNECTIONS_MAX = 16
ANSWER_BYTES_MAX = 64 * 1024 * 1024              # client side: what a status may weigh
NODE_FILE = "node.json"
_PAGES = ("/status", "/peers", "/topology")
_JSON = "application/json"
_END = b"\r\n\r\n"

View = dict[str, Any]


class _Answer(NamedTuple):
    status: str
    content_type: str
    body: bytes


class StatusServer:
    """Serves `view` at a loopback `address` (host:port, port 0 = any free one)."""

    def __init__(self, address: str, view: Callable[..., View], metrics: Metrics | None = None) -> None:
        """`view` of a page's name holds that page; one that is a function is yet to be worked out, in any thread.

        Raises ConfigError for an address that other machines could reach.
        """
        self._address = addresses.parse(address)
        if not addresses.is_loopback(self._address.host):
            raise ConfigError(f"{address} can be reached by other machines; use 127.0.0.1:0", "status")
        self._view = view
        self._metrics = metrics or Metrics()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen; returns the URL to ask.  Raises StateError if the port is taken."""
        host, port, _ = self._address
        try:
            limit = REQUEST_BYTES_MAX - len(_END)            # asyncio does not count the separator
            self._server = await asyncio.start_server(self._accept, host, port, limit=limit)
        except OSError as error:
            raise StateError(
                f"cannot serve the status at {self._address}: {error.strerror}; choose another port, or 0 for any"
            ) from None
        bound = self._server.sockets[0].getsockname()
        return f"http://{addresses.Address(bound[0], bound[1])}"

    async def aclose(self) -> None:
        """Stop listening and drop whoever is still asking."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer.  Whatever the client does wrong ends with its connection."""
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(REQUEST_S):
                    writer.write(_response(await self._answer(reader)))
                    writer.close()
                    await writer.wait_closed()
        finally:
            writer.transport.abort()             # of a client that did not read its answer in time

    async def _answer(self, reader: asyncio.StreamReader) -> _Answer:
        try:
            request = await reader.readuntil(_END)
        except asyncio.LimitOverrunError:
            return _error("431 Request Header Fields Too Large", f"at most {REQUEST_BYTES_MAX} bytes")
        try:
            method, path, host = _parse_request(request)
        except ValueError as error:
            return _error("400 Bad Request", str(error))
        if not _is_local(host):
            return _error("421 Misdirected Request", "ask for 127.0.0.1, [::1] or localhost")
        if method != "GET":
            return _error("405 Method Not Allowed", "only GET")
        return await self._page(path)

    async def _page(self, path: str) -> _Answer:
        if path in _PAGES:
            page = self._view(path[1:])[path[1:]]
            made = asyncio.to_thread(lambda: msgspec.json.encode(page())) if callable(page) else None
            return _Answer("200 OK", _JSON, await made if made is not None else msgspec.json.encode(page))
        if path == "/metrics":
            return _Answer("200 OK", CONTENT_TYPE, self._metrics.render(self._view("status")["status"]))
        return _error("404 Not Found", "there are " + ", ".join((*_PAGES, "/metrics")))


def fetch(url: str) -> Any:
    """What a node answers at `url`.  Blocks.  Raises StateError if no node answers there."""
    import http.client
    import urllib.error
    import urllib.request

    # A proxy named in the environment knows nothing of this machine's loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=REQUEST_S) as response:
            return json.loads(response.read(ANSWER_BYTES_MAX))
    except (OSError, ValueError, http.client.HTTPException, urllib.error.URLError):
        raise StateError(f"no node answers at {url}: it has ended, or this is not its address") from None


def write_node_file(state: Path, peer_id: str, listen: list[str], status: str) -> None:
    """Tell other commands how to reach this node: STATE/node.json, whole or not at all."""
    node = {"pid": os.getpid(), "peer_id": peer_id, "listen": listen, "status": status}
    temporary = state / (NODE_FILE + ".tmp")
    temporary.write_text(json.dumps(node, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, state / NODE_FILE)


def read_node_file(state: Path) -> dict[str, Any]:
    """The last started node of a state directory; it may have ended since.  Raises StateError if none ever started."""
    path = state / NODE_FILE
    try:
        node = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StateError(
            f"cannot read {path}: {error.strerror}; name the state directory of a running node"
        ) from None
    except ValueError:
        raise StateError(f"{path} is damaged: restart the node, which writes it anew") from None
    if not isinstance(node, dict) or not {"pid", "peer_id", "listen", "status"} <= node.keys():
        raise StateError(f"{path} is not of a node: restart the node, which writes it anew")
    return node


def _parse_request(request: bytes) -> tuple[str, str, str]:
    """(method, path, host) of an HTTP/1.x request head.  Raises ValueError."""
    start, *lines = request.removesuffix(_END).decode("ascii").split("\r\n")
    method, path, version = start.split(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise ValueError("only HTTP/1.1")
    headers = [line.partition(":") for line in lines]
    hosts = [value.strip() for name, colon, value in headers if colon and name.lower() == "host"]
    if len(hosts) != 1:
        raise ValueError("exactly one Host header")
    return method, path, hosts[0]


def _is_local(host: str) -> bool:
    """Whether a Host header names this machine itself.

    A page of another origin can make a browser connect here under a name it controls (DNS rebinding) and would then
    read the answer as its own; the browser still sends that name.
    """
    name, colon, port = host.rpartition(":")
    return addresses.is_loopback((name if colon and port.isdigit() else host).strip("[]"))


def _error(status: str, text: str) -> _Answer:
    return _Answer(status, _JSON, msgspec.json.encode({"error": text}))


def _response(answer: _Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode("ascii") + answer.body
