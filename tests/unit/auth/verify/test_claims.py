"""What the claims of a token with a right signature must say, what a caller is, and what is remembered of tokens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenantry.auth.verify import REASONS, Trust, VerifiedCaller, Verifier
from tenantry.auth.verify.errors import TokenInsufficient, TokenRefused
from tests.unit.auth.verify.tokens import ISSUER, JWKS, NOW, SECRET, SESSION, USER, b64, claims, make, verifier

VERIFIER = verifier(cached=0)


def _verify(**changed: Any) -> VerifiedCaller:
    return VERIFIER.verify(make(payload=claims(**changed), alg="HS256"))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": ...}, "claims"),
        ({"exp": None}, "claims"),
        ({"exp": str(NOW + 60)}, "claims"),
        ({"exp": True}, "claims"),
        ({"exp": [NOW + 60]}, "claims"),
        ({"exp": 1e300}, "claims"),
        ({"exp": (NOW + 60) * 1000}, "claims"),  # milliseconds
        ({"exp": -1}, "claims"),
        ({"exp": NOW - 5}, "expired"),
        ({"exp": NOW - 3600}, "expired"),
        ({"nbf": NOW + 6}, "not_yet"),
        ({"nbf": "0"}, "claims"),
        ({"nbf": None}, "claims"),
        ({"iat": NOW + 6}, "not_yet"),
        ({"iat": "now"}, "claims"),
        ({"iss": ...}, "issuer"),
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": ISSUER.upper()}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"aud": ...}, "audience"),
        ({"aud": ""}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": "anon"}, "audience"),
        ({"aud": ["anon", "other"]}, "audience"),
        ({"aud": {"authenticated": True}}, "audience"),
        ({"aud": "authenticated other"}, "audience"),
        ({"sub": ...}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": "admin"}, "claims"),
        ({"sub": USER + "\n"}, "claims"),
        ({"sub": f"{{{USER}}}"}, "claims"),
        ({"sub": USER.replace("-", "")}, "claims"),
        ({"sub": "٥" + USER[1:]}, "claims"),  # a digit of another script
        ({"sub": 5}, "claims"),
        ({"role": ...}, "role"),
        ({"role": "service_role"}, "role"),
        ({"role": "postgres"}, "role"),
        ({"role": ["authenticated"]}, "role"),
        ({"role": ""}, "role"),
        ({"aal": "aal9"}, "claims"),
        ({"aal": 2}, "claims"),
        ({"aal": None}, "claims"),
        ({"aal": ["aal2"]}, "claims"),
        ({"is_anonymous": "false"}, "claims"),
        ({"is_anonymous": None}, "claims"),
        ({"session_id": "x"}, "claims"),
        ({"session_id": 5}, "claims"),
    ],
)
def test_claims_that_are_not_accepted(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        _verify(**changed)
    assert caught.value.reason == reason


def test_the_clocks_may_differ_by_the_leeway() -> None:
    for changed in ({"exp": NOW - 4}, {"nbf": NOW + 5}, {"iat": NOW + 5}, {"exp": NOW + 0.5}, {"iat": ...}):
        _verify(**changed)
    exact = verifier(leeway=0.0)
    with pytest.raises(TokenRefused):
        exact.verify(make(payload=claims(exp=NOW)))
    exact.verify(make(payload=claims(exp=NOW + 1)))


def test_what_a_caller_is() -> None:
    caller = _verify(sub=USER.upper(), aud=["other", "authenticated"], aal=..., session_id=..., is_anonymous=True)
    assert (caller.user_id, caller.aal, caller.session_id, caller.is_anonymous) == (USER, "aal1", None, True)
    assert _verify(aal="aal2").session_id == SESSION
    service = verifier(roles=("service_role",))
    assert service.verify(make(payload=claims(role="service_role"))).role == "service_role"


def test_what_a_route_asks_for() -> None:
    plain, second, unnamed = _verify(), _verify(aal="aal2"), _verify(is_anonymous=True)
    second.require(aal="aal2", anonymous=False, roles=["authenticated"])
    for caller, asked, reason, needed in (
        (plain, {"aal": "aal2"}, "aal", "aal2"),
        (unnamed, {"anonymous": False}, "anonymous", ""),
        (plain, {"roles": ["service_role"]}, "role", ""),
    ):
        with pytest.raises(TokenInsufficient) as caught:
            caller.require(**asked)
        assert (caught.value.reason, caught.value.needed) == (reason, needed)


# -- what is remembered --------------------------------------------------------------------------------------------------


class _Clock:
    now = float(NOW)

    def __call__(self) -> float:
        return self.now


def _counted(cached: int) -> tuple[Verifier, _Clock, list[bytes]]:
    """A verifier, its clock, and what its key was asked to verify."""
    clock = _Clock()
    made = Verifier(Trust(issuer=ISSUER, secret=SECRET, cached=cached), clock=clock)
    asked: list[bytes] = []
    (key,) = made._secrets.all
    algorithm = key._algorithm

    class Asked:
        def verify(self, signed: bytes, signature: bytes, of: object) -> bool:
            asked.append(signed)
            return bool(algorithm.verify(signed, signature, of))

    object.__setattr__(key, "_algorithm", Asked())
    return made, clock, asked


def test_a_token_is_verified_once_and_never_remembered_beyond_its_end() -> None:
    made, clock, asked = _counted(10)
    token = make(payload=claims(exp=NOW + 60), alg="HS256")
    first = made.verify(token)
    assert made.verify(token) == first and made.verify(token.encode()) == first
    assert len(asked) == 1
    clock.now = NOW + 60
    made.verify(token)  # within the leeway, and verified again each time
    made.verify(token)
    assert (len(asked), made._seen) == (3, {})
    clock.now = NOW + 65
    with pytest.raises(TokenRefused) as caught:
        made.verify(token)
    assert caught.value.reason == "expired"


def test_few_tokens_are_remembered_the_last_ones_used() -> None:
    made, _clock, asked = _counted(2)
    one, two, three = (make(payload=claims(n=number), alg="HS256") for number in range(3))
    for token in (one, two, one, three, one):
        made.verify(token)
    assert (len(asked), len(made._seen)) == (3, 2)
    made.verify(two)
    assert len(asked) == 4


def test_nothing_is_remembered_of_refused_tokens_or_of_what_callers_change() -> None:
    made, _clock, _asked = _counted(10)
    token = make(payload=claims(), alg="HS256")
    for wrong in (token[:-3] + "abc", make(payload=claims(role="service_role"), alg="HS256")):
        for _ in range(2):
            with pytest.raises(TokenRefused):
                made.verify(wrong)
    assert made._seen == {}
    made.verify(token).claims["role"] = "service_role"
    made.verify(token).claims["app_metadata"]["provider"] = "changed"
    assert made.verify(token).claims == claims()


# -- whatever arrives ----------------------------------------------------------------------------------------------------

SEGMENTS = st.one_of(
    st.binary(max_size=60).map(lambda data: b64(data).encode()),
    st.binary(max_size=40),
    st.sampled_from([part.encode() for alg in ("ES256", "HS256", "RS256") for part in make(alg=alg).split(".")]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FRESH = Verifier(Trust(issuer=ISSUER, jwks=JWKS, secret=SECRET), clock=lambda: NOW)


def _only_refusals(token: str | bytes) -> None:
    try:
        caller = FRESH.verify(token)
    except TokenRefused as error:
        assert error.reason in REASONS
    else:
        assert caller.user_id == USER


@settings(max_examples=60, deadline=None)
@given(st.lists(SEGMENTS, max_size=5).map(b".".join) | st.text("aB9-_.=+\\n\xe9\u0435", max_size=60))
def test_whatever_is_sent_is_refused_and_nothing_else(token: str | bytes) -> None:
    _only_refusals(token)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["ES256", "HS256", "RS256", "EdDSA"]))
def test_a_token_with_another_byte_is_refused(place: int, byte: int, alg: str) -> None:
    token = make(alg=alg).encode()
    place %= len(token)
    changed = token[:place] + bytes([byte]) + token[place + 1 :]
    if changed == token:
        return
    with pytest.raises(TokenRefused):
        FRESH.verify(changed)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "x"]), JSON, max_size=4),
    st.dictionaries(st.sampled_from(list(claims())), JSON, max_size=4),
)
def test_whatever_a_header_or_the_issuer_says_is_a_caller_or_refused(
    header: dict[str, Any], said: dict[str, Any]
) -> None:
    _only_refusals(make({"alg": "HS256", **header}, alg="HS256"))
    _only_refusals(make(payload={**claims(), **said, "sub": USER}, alg="HS256"))
