"""The keys of an issuer over time: rotation, storms, an issuer that is down, slow or hostile."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.auth.verify import FetchRules, Trust, Verifier
from tenantry.auth.verify.compact import decode_segment
from tenantry.auth.verify.errors import KeysUnavailable, TokenRefused
from tenantry.auth.verify.fetch import FetchedKeys, FetchFailed, lifetime
from tenantry.auth.verify.issuer_keys import IssuerKeys
from tenantry.auth.verify.keys import read_jwks
from tenantry.errors import SettingsError
from tests.unit.auth.verify.issuer import Issuer, serving
from tests.unit.auth.verify.tokens import EC_KEY, ISSUER, JWKS, NOW, OTHER_KEY, USER, ec_jwk, make, verifier

RULES = FetchRules(timeout=2, interval=10, min_ttl=30, default_ttl=100, max_ttl=200, stale_for=1000)


class Place:
    """An issuer without a network: `published` are the names of its keys, None where it does not answer."""

    def __init__(self) -> None:
        self.now = 0.0
        self.published: list[str] | None = ["a"]
        self.fetches = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.keys = IssuerKeys("https://issuer.example/jwks.json", RULES, fetch=self._fetch, clock=lambda: self.now)

    def _fetch(self, _url: httpx.URL, _rules: FetchRules) -> FetchedKeys:
        self.fetches += 1
        published = self.published
        self.may_answer.wait(5)
        if published is None:
            raise FetchFailed("no answer (ConnectError)")
        return FetchedKeys(read_jwks({"keys": [ec_jwk(kid=each) for each in published]}), 100.0)

    def get(self, kid: str = "a") -> set[str]:
        found = {str(key.kid) for key in self.keys.get(kid).all}
        self.settle()
        return found

    def settle(self) -> None:
        """Wait for the fetch in the background."""
        flight = self.keys._flight
        if flight is not None:
            flight.result(5)

    def wait_for(self, fetches: int) -> None:
        until = time.monotonic() + 5
        while self.fetches < fetches:
            assert time.monotonic() < until
            time.sleep(0.001)


def test_keys_are_fetched_once_and_renewed_ahead_of_their_end() -> None:
    place = Place()
    for now, fetches in ((0, 1), (79, 1), (80, 2), (81, 2), (159, 2), (161, 3)):
        place.now = now
        assert place.get() == {"a"}
        assert (now, place.fetches) == (now, fetches)


def test_a_key_that_is_withdrawn_ends_with_the_lifetime_of_the_others() -> None:
    place = Place()
    place.get()
    place.published = ["b"]
    place.now = 101  # nobody asked meanwhile: the request waits for the fetch
    assert place.get() == {"b"}


def test_a_new_key_is_known_at_its_first_token() -> None:
    place = Place()
    place.get()
    place.published = ["a", "b"]
    place.now = 1
    assert (place.get("b"), place.fetches) == ({"a", "b"}, 2)
    assert (place.get("a"), place.get("b"), place.fetches) == ({"a", "b"}, {"a", "b"}, 2)


def test_a_storm_of_unknown_names_costs_one_fetch_in_each_interval() -> None:
    place = Place()
    place.get()
    with ThreadPoolExecutor(16) as pool:
        for _ in pool.map(place.keys.get, (f"x{number}" for number in range(200))):
            pass
    assert place.fetches == 2
    place.now = 9.9
    place.get("x")
    assert place.fetches == 2
    place.now = 10
    place.get("x")
    place.get("y")
    assert place.fetches == 3


def test_requests_share_a_fetch_and_one_more_sees_a_key_published_meanwhile() -> None:
    place = Place()
    place.get()
    place.may_answer.clear()
    place.now = 80  # renewed in the background, before the key is published
    place.keys.get("a")
    place.wait_for(2)
    place.published = ["a", "b"]
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(place.keys.get, "b") for _ in range(8)]
        place.may_answer.set()
        assert all(each.result(5).knows("b") for each in waiting)
    assert place.fetches == 3


def test_keys_stay_while_the_issuer_is_down_until_a_bound() -> None:
    place = Place()
    place.get()
    place.published = None
    for now, fetches in ((80, 2), (85, 2), (90, 3), (101, 4), (105, 4), (600, 5), (1099, 6)):
        place.now = now
        assert place.get() == {"a"}
        assert (now, place.fetches) == (now, fetches)
    place.now = 1100
    with pytest.raises(KeysUnavailable):
        place.get()  # tried a second ago
    place.now = 1200
    with pytest.raises(KeysUnavailable, match="ConnectError"):
        place.get()
    place.published = ["b"]
    with pytest.raises(KeysUnavailable):
        place.get()
    place.now = 1210
    assert place.get() == {"b"}


def test_while_the_issuer_is_down_no_request_waits_for_it() -> None:
    place = Place()
    place.get()
    place.published = None
    place.now = 101
    assert place.get() == {"a"}  # the first one waited, and learned it
    place.may_answer.clear()
    place.now = 120
    assert not isinstance(place.keys.look("a"), Future)
    assert place.fetches <= 3
    place.may_answer.set()
    place.settle()


def test_unknown_names_while_the_issuer_is_down_ask_it_once_in_each_interval() -> None:
    place = Place()
    place.get()
    place.published = None
    for now, fetches in ((20, 2), (25, 2), (30, 3)):
        place.now = now
        assert not place.keys.get("x").knows("x")
        assert (now, place.fetches) == (now, fetches)


def test_a_fetch_that_hangs_is_given_up() -> None:
    place = Place()
    place.get()
    place.may_answer.clear()
    place.now = 80
    place.keys.get("a")
    hanging = place.keys._flight
    place.wait_for(2)
    place.may_answer.set()
    place.published = ["b"]
    place.keys._flight = Future()  # as if the first one still ran
    place.now = 90
    assert place.get() == {"a"}
    assert (place.fetches, place.get("b")) == (3, {"b"})
    assert hanging is not None


def test_no_thread_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    place = Place()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(KeysUnavailable, match="no thread"):
            place.keys.get("a")
    place.now = 10
    assert place.get() == {"a"}


@pytest.mark.parametrize(
    "rules", [{"interval": 0}, {"interval": 60}, {"min_ttl": 900}, {"max_ttl": 60}, {"timeout": 0}, {"stale_for": -1}]
)
def test_bounds_that_contradict_each_other_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        verifier(jwks_url="https://issuer.example/", fetching=FetchRules(**rules))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 100),
        ({"cache-control": "public, max-age=150"}, 150),
        ({"cache-control": "MAX-AGE = 150"}, 150),
        ({"cache-control": "max-age=150", "age": "50"}, 100),
        ({"cache-control": "max-age=150", "age": "x"}, 150),
        ({"cache-control": "max-age=0"}, 30),
        ({"cache-control": "max-age=99999999"}, 200),
        ({"cache-control": "max-age=-5"}, 100),
        ({"cache-control": "no-store, max-age=150"}, 30),
        ({"cache-control": "no-cache"}, 30),
    ],
)
def test_how_long_an_answer_counts(headers: dict[str, str], seconds: float) -> None:
    assert lifetime(httpx.Headers(headers), RULES) == seconds


# -- over HTTP -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving() as running:
        yield running


def _verifier(issuer: Issuer, **rules: Any) -> Verifier:
    fetching = FetchRules(**{"timeout": 2.0, **rules})
    return Verifier(Trust(issuer=ISSUER, jwks_url=issuer.url, fetching=fetching), clock=lambda: NOW)


def test_keys_come_over_http_and_rotate_without_a_refusal(issuer: Issuer) -> None:
    made = _verifier(issuer)
    issuer.answer = issuer.keys({"keys": [ec_jwk(OTHER_KEY, "old")]}, cache_control="max-age=600")
    with pytest.raises(TokenRefused):  # not published yet
        made.verify(make())
    assert len(issuer.asked) == 2
    made = _verifier(issuer)
    for each in (issuer.keys({"keys": [ec_jwk(OTHER_KEY, "old"), ec_jwk(EC_KEY)]}), issuer.keys(JWKS)):
        issuer.answer = each
        assert made.verify(make()).user_id == USER
    assert issuer.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "answer",
    [
        lambda here: here.keys(JWKS, status=500),
        lambda here: here.keys(JWKS, status=404),
        lambda here: here.keys([JWKS]),
        lambda here: here.keys({"keys": "none"}),
        lambda here: here.body(b""),
        lambda here: here.body(b"<html>"),
        lambda here: here.body(b"[" * 100_000),
        lambda here: here.body(b" " * 300_000 + json.dumps(JWKS).encode()),
        lambda here: here.body(gzip.compress(json.dumps(JWKS).encode()), content_encoding="gzip"),
        lambda here: here.redirect("http://localhost:1/keys"),
        lambda here: here.redirect("https://issuer.example/keys"),
        lambda here: here.redirect("file:///etc/passwd"),
        lambda here: here.redirect("/again"),
        lambda _here: lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"),
        lambda _here: lambda _handler: None,
    ],
)
def test_an_answer_that_is_no_key_set_leaves_no_keys(issuer: Issuer, answer: Any) -> None:
    issuer.answer = answer(issuer)
    with pytest.raises(KeysUnavailable) as caught:
        _verifier(issuer).verify(make())
    assert "127.0.0.1" not in caught.value.message


def test_a_redirect_on_the_same_host_is_followed(issuer: Issuer) -> None:
    issuer.answer = issuer.redirect("/keys")
    assert _verifier(issuer).verify(make()).user_id == USER
    assert issuer.asked == ["/jwks.json", "/keys"]


def test_a_redirect_to_another_host_is_not_followed_even_if_good_keys_are_there(issuer: Issuer) -> None:
    with serving() as other:
        issuer.answer = issuer.redirect(other.url)
        with pytest.raises(KeysUnavailable, match="redirect to another host"):
            _verifier(issuer).verify(make())
        assert other.asked == []


def test_an_issuer_that_is_slow_holds_requests_for_the_timeout_and_no_longer(issuer: Issuer) -> None:
    for answer in (issuer.held, issuer.dripping):
        issuer.answer = answer
        made = _verifier(issuer, timeout=0.1)
        begun = time.monotonic()
        with pytest.raises(KeysUnavailable, match="no answer"):
            made.verify(make())
        assert time.monotonic() - begun < 5


def test_an_event_loop_goes_on_while_keys_are_fetched(issuer: Issuer) -> None:
    made = _verifier(issuer)
    issuer.answer = issuer.held

    async def run() -> list[str]:
        waiting = [asyncio.create_task(made.verify_async(make())) for _ in range(20)]
        while not issuer.asked:
            await asyncio.sleep(0.001)  # would never come back if the loop were blocked
        waiting.pop().cancel()  # a request that is cancelled does not end the fetch of the others
        await asyncio.sleep(0)
        issuer.release.set()
        return [caller.user_id for caller in await asyncio.gather(*waiting)]

    assert asyncio.run(run()) == [USER] * 19
    assert asyncio.run(made.verify_async(make(alg="EdDSA"))).user_id == USER  # another loop
    assert len(issuer.asked) == 1


def test_unfit_tokens_do_not_lead_to_a_fetch(issuer: Issuer) -> None:
    made = _verifier(issuer)
    for token in ("", "a.b.c", make({"alg": "none", "kid": "new"}), make({"alg": "HS256", "kid": "new"}, alg="HS256")):
        with pytest.raises(TokenRefused):
            made.verify(token)
    assert issuer.asked == []


def test_a_remembered_token_is_refused_when_its_key_is_withdrawn() -> None:
    place = Place()
    made = verifier(jwks_url="https://issuer.example/", secret=None, jwks=None)
    made._source = place.keys
    place.published = ["ec", "other"]
    token = make()
    assert made.verify(token) is made.verify(token)
    place.published = ["other"]
    place.now = 101
    for _ in range(2):
        with pytest.raises(TokenRefused) as caught:
            made.verify(token)
        assert caught.value.reason == "unknown_key"


_ODD = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.text(max_size=4), max_size=2)
_MEMBERS = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops"]), _ODD, max_size=4
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(JWKS["keys"]), _MEMBERS) | _ODD, max_size=3))
def test_whatever_an_issuer_publishes_its_good_keys_count(entries: list[Any]) -> None:
    odd = [{**each[0], **each[1]} if isinstance(each, tuple) else each for each in entries]
    keys = read_jwks({"keys": [*odd, ec_jwk(kid="good")]})
    (found,) = keys.candidates("good", "ES256")
    signed, _, signature = make().rpartition(".")
    assert found.verify(signed.encode(), decode_segment(signature.encode(), "signature"))
    for key in keys.all:
        key.verify(b"", b"")
