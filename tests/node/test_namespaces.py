"""Two machines on one LAN: daemons in two network namespaces, joined by a bridge.

Skips, saying so, where this user may not make namespaces.
"""

import os
import shutil
import subprocess
import time

import pytest
from daemons import Daemon, a_federation, until

from gossipfl.config import DiscoveryConfig

HOSTS = {"left": "10.87.0.1", "right": "10.87.0.2"}


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def why_not():
    """Why there can be no namespaces here, or None."""
    if shutil.which("ip") is None or shutil.which("bridge") is None:
        return "iproute2 is not installed"
    name = f"gfl{os.getpid()}"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed here: {error.stderr.strip()}"
    return None


@pytest.fixture
def lan():
    """Two hosts, each a namespace on a port of a bridge: ({host: its namespace}, the namespace of the bridge)."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    number = os.getpid() % 10_000
    switch = f"gfl-switch-{number}"
    spaces = {name: f"gfl-{name}-{number}" for name in HOSTS}
    try:
        ip("netns", "add", switch)
        ip("-n", switch, "link", "add", "lan", "type", "bridge", "mcast_snooping", "0")
        ip("-n", switch, "link", "set", "lan", "up")
        for name, space in spaces.items():
            ip("netns", "add", space)
            ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", switch)
            ip("-n", switch, "link", "set", name, "master", "lan", "up")
            ip("-n", space, "addr", "add", f"{HOSTS[name]}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "link", "set", "lo", "up")
        yield spaces, switch
    finally:
        for space in (*spaces.values(), switch):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


class Host(Daemon):
    """A daemon on a machine of its own."""

    def __init__(self, space, host, *arguments, **options):
        super().__init__(*arguments, **options)
        self.space = space
        self.config.write_text(self.config.read_text().replace('listen = "127.0.0.1:0"', f'listen = "{host}:0"'))

    def start(self):
        self.prefix = ("ip", "netns", "exec", self.space)
        return super().start()


def hosts(lan, tmp_path):
    spaces, _ = lan
    agreed = a_federation(tmp_path)
    return [
        Host(spaces[name], HOSTS[name], agreed, tmp_path / name, part=part, parts=2, rounds=5,
             discovery=DiscoveryConfig())
        for part, name in enumerate(HOSTS)
    ]  # fmt: skip


def test_two_machines_find_each_other_by_mdns_within_three_seconds_and_train(lan, tmp_path):
    left, right = hosts(lan, tmp_path)
    with left:
        left.node_file()
        with right:
            right.node_file()
            listening = time.monotonic()
            until(lambda: right.told(" linked, "), "they find each other", 10.0)
            took_s = time.monotonic() - listening
            assert [left.process.wait(60), right.process.wait(60)] == [0, 0]
    assert took_s <= 3.0
    assert [len(left.rounds()), len(right.rounds())] == [5, 5]


def test_where_multicast_is_blocked_an_address_is_enough(lan, tmp_path):
    _, switch = lan
    for name in HOSTS:
        subprocess.run(["ip", "netns", "exec", switch, "bridge", "link", "set", "dev", name, "mcast_flood", "off"],
                       check=True)                                                                  # fmt: skip
    left, right = hosts(lan, tmp_path)
    with left:
        address = left.node_file()["listen"][0]
        with right:
            right.node_file()
            with pytest.raises(AssertionError):
                until(lambda: right.told(" linked, "), "mDNS alone finds nobody here", 4.0)
        with right.with_arguments("--peer", address):
            assert [left.process.wait(60), right.process.wait(60)] == [0, 0]
    assert [len(left.rounds()), len(right.rounds())] == [5, 5]
