"""The status page: four pages for this machine, and a closed door for everyone and everything else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from gossipfl.errors import ConfigError, StateError
from gossipfl.node import status
from gossipfl.node.metrics import Metrics
from gossipfl.node.status import CONNECTIONS_MAX, REQUEST_BYTES_MAX, StatusServer, fetch

VIEW = {
    "status": {"round": 7, "accuracy": 0.875, "loss": float("nan"), "bytes_sent": 10,
               "updates": {"expected": 3, "heard": 2, "late": 1, "refused": 0}},
    "peers": [{"id": "12D3", "neighbor": True}],
    "topology": {"nodes": ["a", "b"], "edges": [["a", "b"]], "claimed": []},
    "events": [],
}


def serve(scenario, address="127.0.0.1:0", metrics=None):
    """Run `scenario(host, port, url)` beside a running server."""

    async def main():
        server = StatusServer(address, lambda *pages: VIEW, metrics)
        url = await server.start()
        host, _, port = url.removeprefix("http://").rpartition(":")
        try:
            async with asyncio.timeout(8):
                return await scenario(host.strip("[]"), int(port), url)
        finally:
            await server.aclose()

    return asyncio.run(main())


async def exchange(host, port, request: bytes) -> bytes:
    """What the server answers to raw bytes, until it closes."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    try:
        return await until_closed(reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def answer_to(request: bytes) -> tuple[int, dict[str, str], bytes]:
    async def scenario(host, port, url):
        return await exchange(host, port, request)

    head, _, body = serve(scenario).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def get(path: str, host: str = "127.0.0.1") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
def test_a_client_reads_each_page_as_the_view_has_it(address):
    async def scenario(host, port, url):
        return [await asyncio.to_thread(fetch, f"{url}/{page}") for page in ("status", "peers", "topology")]

    try:
        pages = serve(scenario, address)
    except StateError as error:
        pytest.skip(f"no IPv6 here: {error}")
    assert pages[0] == {**VIEW["status"], "loss": None}, "what is no number becomes null"
    assert pages[1:] == [VIEW["peers"], VIEW["topology"]]


def test_an_answer_is_whole_uncached_and_the_last():
    code, headers, body = answer_to(get("/topology"))
    assert code == 200
    assert json.loads(body) == VIEW["topology"]
    assert headers["Content-Length"] == str(len(body))
    assert headers["Connection"] == "close"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:8080", "[::1]", "[::1]:80", "127.0.0.9:1"])
def test_this_machine_may_ask_under_its_own_names(host):
    assert answer_to(get("/status", host))[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "192.0.2.1", "localhost.evil.example", "", "[::]"])
def test_a_name_that_was_bent_to_this_machine_is_turned_away(host):
    code, _, body = answer_to(get("/status", host))
    assert code == 421
    assert b"accuracy" not in body


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (b"POST /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"HEAD /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (get("/"), 404),
        (get("/status/../peers"), 404),
        (b"GET /status HTTP/1.1\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /status HTTP/2\r\nHost: localhost\r\n\r\n", 400),
        (b"GET  /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\xff\xfe\r\n\r\n", 400),
        (b"\x16\x03\x01 TLS\r\n\r\n", 400),
    ],
)
def test_anything_but_a_plain_get_is_an_error_without_content(request_bytes, code):
    answered, _, body = answer_to(request_bytes)
    assert answered == code
    assert set(json.loads(body)) == {"error"}


def test_a_request_one_byte_too_long_is_refused_and_one_at_the_bound_is_not():
    frame = len(get("/status")) + len("X: \r\n")
    for extra, code in ((0, 200), (1, 431)):
        padding = b"x" * (REQUEST_BYTES_MAX - frame + extra)
        request = get("/status")[:-2] + b"X: " + padding + b"\r\n\r\n"
        assert len(request) == REQUEST_BYTES_MAX + extra
        assert answer_to(request)[0] == code


def test_a_client_that_never_finishes_is_dropped(monkeypatch):
    monkeypatch.setattr(status, "REQUEST_S", 0.05)
    assert serve(lambda host, port, url: exchange(host, port, b"GET /status HTTP/1.1\r\n")) == b""


def test_a_crowd_of_silent_clients_is_bounded_and_room_is_made_when_one_leaves():
    async def scenario(host, port, url):
        silent = [(await asyncio.open_connection(host, port))[1] for _ in range(CONNECTIONS_MAX)]
        refused = await exchange(host, port, get("/status"))
        silent[0].close()
        while not (served := await exchange(host, port, get("/status"))):
            pass                                 # the server has not seen the end of the closed one yet
        for writer in silent:
            writer.close()
            await writer.wait_closed()
        return refused, served

    refused, served = serve(scenario)
    assert refused == b""
    assert served.startswith(b"HTTP/1.1 200")


def test_a_silent_client_does_not_keep_the_server_from_ending():
    async def main():
        server = StatusServer("127.0.0.1:0", lambda *pages: VIEW)
        host, _, port = (await server.start()).removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await exchange(host, int(port), get("/status"))
        async with asyncio.timeout(2):
            await server.aclose()
            answer = await until_closed(reader)
        writer.close()
        return answer

    assert asyncio.run(main()) == b""


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.org:80"])
def test_an_address_that_others_could_reach_is_refused(address):
    with pytest.raises(ConfigError, match="can be reached by other machines"):
        StatusServer(address, lambda *pages: VIEW)


def test_a_taken_port_is_the_users_to_change():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StateError, match="choose another port"):
            asyncio.run(StatusServer(f"127.0.0.1:{port}", lambda *pages: VIEW).start())


def test_asking_where_no_node_is_says_so(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(StateError, match="no node answers"):
        fetch(f"http://127.0.0.1:{port}/status")


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:1")

    async def scenario(host, port, url):
        return await asyncio.to_thread(fetch, f"{url}/peers")

    assert serve(scenario) == VIEW["peers"]


def test_prometheus_can_read_every_line_of_the_metrics():
    from prometheus_client.parser import text_string_to_metric_families

    metrics = Metrics()
    for lag_s in (0.0005, 0.004, 0.004, 60.0):
        metrics.observe_lag(lag_s)

    async def scenario(host, port, url):
        return await exchange(host, port, get("/metrics"))

    _, _, body = serve(scenario, metrics=metrics).partition(b"\r\n\r\n")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["gossipfl_round",] == 7
    assert samples["gossipfl_accuracy_ratio",] == 0.875
    assert samples["gossipfl_bytes_sent_total", "all"] == 10
    assert samples["gossipfl_updates_total", "late"] == 1
    assert ("gossipfl_neighbors",) not in samples, "what the view lacks is left out, not told as zero"
    assert samples["gossipfl_loop_lag_seconds_bucket", "0.002"] == 1
    assert samples["gossipfl_loop_lag_seconds_bucket", "0.005"] == 3
    assert samples["gossipfl_loop_lag_seconds_bucket", "+Inf"] == 4 == samples["gossipfl_loop_lag_seconds_count",]


def test_verdicts_the_worth_of_neighbors_and_what_the_graph_carries_are_metrics():
    view = {"verdicts": {"kept": 5, "clipped": 2, "refused": 1}, "alone": {"wins": 3, "gain": -0.25}, "isolated": True,
            "unmixed": {"rounds": 4}, "ruling": {"certified_budget": 2, "byzantine_max": 1}}
    text = Metrics().render(view).decode()
    for line in ('gossipfl_verdicts_total{standing="refused"} 1.0', "gossipfl_alone_wins 3.0", "gossipfl_isolated 1.0",
                 "gossipfl_unmixed_rounds 4.0",
                 "gossipfl_gain_over_alone_ratio -0.25", "gossipfl_certified_budget 2.0", "gossipfl_byzantine_max 1.0"):
        assert line in text, line
    assert "gossipfl_alone_wins" not in Metrics().render({"alone": None}).decode()


def test_kinds_of_traffic_are_told_apart_where_the_view_does():
    text = Metrics().render({"bytes_sent": 9, "bytes_sent_by_kind": {"bulk": 8, "control": 1}}).decode()
    assert 'gossipfl_bytes_sent_total{kind="bulk"} 8.0' in text
    assert 'kind="all"} 9' not in text


def test_a_node_file_tells_where_its_node_is(tmp_path):
    status.write_node_file(tmp_path, "12D3", ["127.0.0.1:7000"], "http://127.0.0.1:8000")
    node = status.read_node_file(tmp_path)
    assert (node["peer_id"], node["listen"], node["status"]) == ("12D3", ["127.0.0.1:7000"], "http://127.0.0.1:8000")
    assert [path.name for path in tmp_path.iterdir()] == ["node.json"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"pid": 1}'])
def test_a_missing_or_broken_node_file_names_the_remedy(tmp_path, content):
    if content is not None:
        (tmp_path / "node.json").write_text(content)
    with pytest.raises(StateError, match=r"node\.json"):
        status.read_node_file(tmp_path)
