"""A heartbeat distinguishes a network that drops everything from a server that refuses a connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tenantry.errors import LoginRefused, ServerUnreachable
from tenantry.migrate.session import heartbeat
from tenantry.migrate.session.heartbeat import Heartbeat


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.01)
    monkeypatch.setattr(heartbeat, "PATIENCE", 1.0)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port at which connections are accepted, and nothing is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_network_lost_before_the_heartbeat_is_connected_counts_as_lost(silent: int) -> None:
    lost = threading.Event()
    beating = Heartbeat(f"host=127.0.0.1 port={silent} connect_timeout=2", lost.set)
    beating.start()
    assert lost.wait(60)
    beating.join(60)


@pytest.mark.parametrize("refusal", [ServerUnreachable("down", hint=""), LoginRefused("no connection left", hint="")])
def test_a_refused_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    tries, enough, lost = [], threading.Event(), threading.Event()

    def refuse(*_: object, **__: object) -> None:
        tries.append(1)
        if len(tries) == 20:
            enough.set()
        raise refusal

    monkeypatch.setattr(heartbeat, "connect", refuse)
    beating = Heartbeat("", lost.set)
    beating.start()
    assert enough.wait(60)
    beating.stop()
    beating.join(60)
    assert not lost.is_set()
