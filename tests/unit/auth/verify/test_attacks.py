"""What attackers send for a token. Each is made by hand, differs from a token that is accepted in one thing, and is refused for it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tenantry.auth.verify import REASONS
from tenantry.auth.verify.errors import TokenRefused
from tenantry.errors import SettingsError
from tests.unit.auth.verify.tokens import (
    EC_KEY,
    JWKS,
    NOW,
    OTHER_KEY,
    RSA_KEY,
    SECRET,
    b64,
    claims,
    ec_jwk,
    es256,
    hs256,
    make,
    number,
    rs256,
    rsa_jwk,
    verifier,
)

VERIFIER = verifier(cached=0)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256."""


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA", "HS256"])
def test_a_token_of_the_issuer_is_accepted(alg: str) -> None:
    caller = VERIFIER.verify(make(alg=alg))
    assert (caller.user_id, caller.role, caller.aal) == (claims()["sub"], "authenticated", "aal1")
    assert caller.claims == claims()


def _header(**more: Any) -> dict[str, Any]:
    return {"alg": "ES256", "typ": "JWT", "kid": "ec", **more}


def _signed_by_others(**more: Any) -> str:
    """With a key of the attacker, who says in the header where it is."""
    head = b64(json.dumps(_header(**more)).encode())
    signed = f"{head}.{b64(json.dumps(claims()).encode())}"
    return f"{signed}.{b64(es256(signed.encode(), OTHER_KEY))}"


def _confused(secret: bytes, kid: str) -> str:
    """A public key, which everyone has, as the secret of an HMAC."""
    head = b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": kid}).encode())
    signed = f"{head}.{b64(json.dumps(claims()).encode())}"
    return f"{signed}.{b64(hs256(signed.encode(), secret))}"


def _parts(token: str, change: Callable[[list[str]], None]) -> str:
    parts = token.split(".")
    change(parts)
    return ".".join(parts)


def _set(number: int, text: str) -> Callable[[list[str]], None]:
    return lambda parts: parts.__setitem__(number, text)


def _pem(key: Any) -> bytes:
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _der(token: str) -> str:
    """The same signature in DER, as other formats have it."""
    signed = token.rpartition(".")[0]
    return f"{signed}.{b64(EC_KEY.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))}"


def _rs(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


ATTACKS: list[tuple[str, str, str]] = [
    # No signature at all.
    ("alg none", make(_header(alg="none"), signature=b"\0"), "algorithm"),
    ("alg none, no signature", make(_header(alg="none")).rpartition(".")[0] + ".", "malformed"),
    ("alg None", make(_header(alg="None")), "algorithm"),
    ("alg nOnE", make(_header(alg="nOnE"), signature=b"x"), "algorithm"),
    ("alg empty", make(_header(alg="")), "algorithm"),
    ("no alg", make({"typ": "JWT", "kid": "ec"}), "algorithm"),
    ("alg null", make(_header(alg=None)), "algorithm"),
    ("alg a list", make(_header(alg=["ES256", "none"])), "algorithm"),
    ("alg in lower case", make(_header(alg="es256")), "algorithm"),
    ("alg with a space", make(_header(alg="ES256 ")), "algorithm"),
    # The key states the algorithm, not the token.
    ("a public key as a secret: PEM of ES256", _confused(_pem(EC_KEY), "ec"), "signature"),
    ("a public key as a secret: PEM of RS256", _confused(_pem(RSA_KEY), "rsa"), "signature"),
    ("a public key as a secret: PEM without its last line end", _confused(_pem(RSA_KEY).strip(), "rsa"), "signature"),
    ("a public key as a secret: the JWK", _confused(json.dumps(ec_jwk()).encode(), "ec"), "signature"),
    ("a public key as a secret: x of the JWK", _confused(ec_jwk()["x"].encode(), "ec"), "signature"),
    ("an empty secret", _confused(b"", "ec"), "signature"),
    ("an RSA key called ES256", make(_header(kid="rsa"), alg="RS256"), "algorithm"),
    ("an EC key called RS256", make(_header(alg="RS256", kid="ec")), "algorithm"),
    ("an EC key called EdDSA", make(_header(alg="EdDSA")), "algorithm"),
    ("RS512 of an RS256 key", make(_header(alg="RS512", kid="rsa"), alg="RS256"), "algorithm"),
    ("PS256 of an RS256 key", make(_header(alg="PS256", kid="rsa"), alg="RS256"), "algorithm"),
    ("HS512 of the secret", make(_header(alg="HS512"), alg="HS256"), "algorithm"),
    ("ES256K", make(_header(alg="ES256K")), "algorithm"),
    # Keys of the attacker.
    ("signed by another key", _signed_by_others(), "signature"),
    ("an embedded key", _signed_by_others(jwk=ec_jwk(OTHER_KEY)), "embedded_key"),
    ("a linked key set", _signed_by_others(jku="https://evil.example/jwks.json"), "embedded_key"),
    ("a linked certificate", _signed_by_others(x5u="https://evil.example/cert"), "embedded_key"),
    ("an embedded certificate", _signed_by_others(x5c=["MIIB"]), "embedded_key"),
    ("an embedded key, null", _signed_by_others(jwk=None), "embedded_key"),
    # Names of keys.
    ("kid: a path to an empty secret", _confused(b"", "../../../../dev/null"), "signature"),
    ("kid: a path, ES256", make(_header(kid="../../../../dev/null")), "unknown_key"),
    ("kid: SQL", make(_header(kid="x' union select 'secret' --")), "header"),
    ("kid: SQL without spaces", make(_header(kid="x'/**/or/**/1=1")), "unknown_key"),
    ("kid: a command", make(_header(kid="|id")), "unknown_key"),
    ("kid: NUL", make(_header(kid="ec\0")), "malformed"),
    ("kid: a line end", make(_header(kid="ec\n")), "header"),
    ("kid: a number", make(_header(kid=1)), "header"),
    ("kid: a list", make(_header(kid=["ec"])), "header"),
    ("kid: null", make(_header(kid=None)), "header"),
    ("kid: empty", make(_header(kid="")), "header"),
    ("kid: long", make(_header(kid="k" * 300)), "header"),
    ("kid: letters that look alike", make(_header(kid="ес")), "header"),
    # Extensions.
    ("crit", make(_header(crit=["exp"], exp=NOW)), "header"),
    ("crit, empty", make(_header(crit=[])), "header"),
    ("b64 false", make(_header(b64=False, crit=["b64"])), "header"),
    ("b64 false without crit", make(_header(b64=False)), "header"),
    ("zip", make(_header(zip="DEF")), "header"),
    ("enc", make(_header(enc="A256GCM")), "header"),
    ("cty: a token in a token", make(_header(cty="JWT"), make()), "header"),
    ("typ of an id token's logout", make(_header(typ="logout+jwt")), "type"),
    ("typ: a number", make(_header(typ=1)), "type"),
    ("typ: null", make(_header(typ=None)), "type"),
    # Forms.
    ("a JWE", "e30.e30.e30.e30.e30", "encrypted"),
    ("empty", "", "malformed"),
    ("two parts", make().rpartition(".")[0], "malformed"),
    ("four parts", make() + ".x", "malformed"),
    ("JSON serialization", json.dumps({"payload": "e30", "protected": "e30", "signature": "e30"}), "malformed"),
    ("a detached payload", _parts(make(), _set(1, "")), "malformed"),
    ("a space before", " " + make(), "malformed"),
    ("a line end after", make() + "\n", "malformed"),
    ("a space within", make().replace(".", ". ", 1), "malformed"),
    ("padding", make() + "==", "malformed"),
    ("standard base64", _parts(make(), lambda parts: parts.__setitem__(1, parts[1][:-4] + "+/+/")), "malformed"),
    (
        "base64 with an ignored character",
        _parts(make(), lambda parts: parts.__setitem__(2, parts[2] + "!")),
        "malformed",
    ),
    (
        "bits beyond the last byte",
        _parts(make(), lambda p: p.__setitem__(2, p[2][:-1] + chr(ord(p[2][-1]) + 1))),
        "malformed",
    ),
    ("other alphabets", make().replace("e", "е", 1), "malformed"),
    ("long", make(payload=claims(user_metadata={"note": "x" * 20_000})), "size"),
    ("a long header", make(_header(note="x" * 2000)), "size"),
    ("a long signature", make(signature=b"x" * 2000), "size"),
    # JSON that parsers read differently.
    ("alg twice", make('{"alg":"none","kid":"ec","alg":"ES256"}'), "duplicate"),
    ("kid twice", make('{"alg":"ES256","kid":"x","kid":"ec"}'), "duplicate"),
    (
        "sub twice",
        make(payload=json.dumps(claims())[:-1] + ',"sub":"5f0c0a52-94a5-4b5e-8f0d-0c5ad1b7c009"}'),
        "duplicate",
    ),
    ("a nested key twice", make(payload=json.dumps(claims())[:-1] + ',"more":{"role":1,"role":2}}'), "duplicate"),
    ("a key twice, once escaped", make(payload=json.dumps(claims())[:-1] + ',"\\u0073ub":"x"}'), "duplicate"),
    ("NaN", make(payload=json.dumps(claims(exp=float("nan")))), "malformed"),
    ("Infinity", make(payload=json.dumps(claims(exp=float("inf")))), "malformed"),
    ("a comment", make(payload=json.dumps(claims()) + "/**/"), "malformed"),
    ("a list", make(payload="[]"), "malformed"),
    ("a header that is a list", make("[]"), "malformed"),
    ("a header that is a text", make('"ES256"'), "malformed"),
    ("UTF-16", make(payload=json.dumps(claims()).encode("utf-16")), "malformed"),
    ("a header in UTF-16", make(json.dumps(_header()).encode("utf-16-le")), "malformed"),
    ("a byte order mark", make(payload=b"\xef\xbb\xbf" + json.dumps(claims()).encode()), "malformed"),
    ("half of UTF-8", make(payload=b'{"sub":"\xc3"}'), "malformed"),
    ("deep", make(payload=json.dumps(claims())[:-1] + ',"x":' + "[" * 100 + "]" * 100 + "}"), "malformed"),
    ("very deep", make(payload='{"x":' + "[" * 5000 + "]" * 5000 + "}"), "malformed"),
    ("a deep header", make('{"x":' + "[" * 300 + "]" * 300 + "}"), "malformed"),
    (
        "a number with thousands of digits",
        make(payload=json.dumps(claims())[:-1] + ',"x":' + "9" * 5000 + "}"),
        "malformed",
    ),
    ("NUL, which no database takes", make(payload=claims(user_metadata={"x": "\\\0"})), "malformed"),
    # Signatures.
    (
        "the signature of another token",
        _parts(make(), _set(2, make(payload=claims(sub="x")).rpartition(".")[2])),
        "signature",
    ),
    (
        "a changed payload",
        _parts(make(), _set(1, make(payload=claims(role="service_role")).split(".")[1])),
        "signature",
    ),
    ("a changed header", _parts(make(), _set(0, b64(json.dumps(_header(typ="at+jwt")).encode()))), "signature"),
    ("zeros", make(signature=b"\0" * 64), "signature"),
    ("r and s are the group's order", make(signature=_rs(ORDER, ORDER)), "signature"),
    ("r is 0, s is 1", make(signature=_rs(0, 1)), "signature"),
    ("r beyond the group's order", make(signature=_rs(ORDER + 1, 1)), "signature"),
    ("DER", _der(make()), "signature"),
    ("cut", make(signature=es256(b"")[:63]), "signature"),
    ("longer", make(signature=es256(b"") + b"\0"), "signature"),
    ("HS256, cut to one byte", make(signature=b"\0", alg="HS256"), "signature"),
    ("HS256 of another secret", make(signature=hs256(b"x"), alg="HS256"), "signature"),
    ("EdDSA, zeros", make(signature=b"\0" * 64, alg="EdDSA"), "signature"),
    ("RS256, one", make(signature=b"\0" * 255 + b"\1", alg="RS256"), "signature"),
    ("RS256 of another text", make(signature=rs256(b"x"), alg="RS256"), "signature"),
]


@pytest.mark.parametrize(("token", "reason"), [pytest.param(token, reason, id=name) for name, token, reason in ATTACKS])
def test_an_attack_is_refused(token: str, reason: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        VERIFIER.verify(token)
    assert caught.value.reason == reason
    # A token, or a part of it, in a message would be one in a log.
    said = f"{caught.value.message} {caught.value.hint} {caught.value.detail}"
    assert [part for part in token.split(".") if len(part) > 8 and part in said] == []


def test_every_attack_has_a_reason_that_is_documented() -> None:
    assert {reason for *_, reason in ATTACKS} <= set(REASONS)


@pytest.mark.parametrize("left_out", ["jwks", "secret"])
def test_what_is_not_configured_does_not_count(left_out: str) -> None:
    only = verifier(**{left_out: None})
    accepted, refused = ("HS256", "ES256") if left_out == "jwks" else ("ES256", "HS256")
    only.verify(make(alg=accepted))
    with pytest.raises(TokenRefused) as caught:
        only.verify(make(alg=refused))
    assert caught.value.reason == ("unknown_key" if refused == "ES256" else "algorithm")


UNFIT: list[tuple[str, Any]] = [
    ("a symmetric key", {"kty": "oct", "k": b64(SECRET), "kid": "ec", "alg": "HS256"}),
    ("for encryption", ec_jwk(use="enc")),
    ("for signing only", ec_jwk(key_ops=["sign"])),
    ("of another algorithm", ec_jwk(alg="ES384")),
    ("an EC key of HS256", ec_jwk(alg="HS256")),
    ("an EC key of none", ec_jwk(alg="none")),
    ("a point that is not on the curve", {**ec_jwk(), "y": b64(b"\1" * 32)}),
    ("without a coordinate", {"kty": "EC", "crv": "P-256", "x": ec_jwk()["x"], "kid": "ec"}),
    ("a curve that is a list", {**ec_jwk(), "crv": ["P-256"]}),
    ("a kind that is a list", {**ec_jwk(), "kty": ["EC"]}),
    ("an algorithm that is a list", ec_jwk(alg=["ES256"])),
    ("another curve", {**ec_jwk(), "crv": "secp256k1"}),
    ("a name that is a number", {**ec_jwk(), "kid": 1}),
    ("operations that are a text", ec_jwk(key_ops="verify")),
    ("a short RSA key", {**rsa_jwk(), "n": b64(b"\xff" * 128), "kid": "ec"}),
    ("an even exponent", {**rsa_jwk(), "e": b64(b"\2")}),
    ("no key", "ec"),
]


@pytest.mark.parametrize("entry", [pytest.param(entry, id=name) for name, entry in UNFIT])
def test_a_key_that_does_not_fit_is_left_out_of_a_set(entry: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        only = verifier(jwks={"keys": [entry]}, secret=None)
    for alg in ("ES256", "RS256"):
        with pytest.raises(TokenRefused) as caught:
            only.verify(make(alg=alg))
        assert caught.value.reason in ("unknown_key", "algorithm")
    with pytest.raises(TokenRefused):
        only.verify(make({"alg": "HS256", "kid": "ec"}, alg="HS256"))


def test_an_rsa_key_that_can_be_broken_does_not_count() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is what is refused
    jwk = {"kty": "RSA", "n": number(short.public_key().public_numbers().n, 128), "e": "AQAB", "kid": "short"}
    header = json.dumps({"alg": "RS256", "kid": "short"})
    signed = f"{b64(header.encode())}.{b64(json.dumps(claims()).encode())}"
    signature = short.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(TokenRefused) as caught:
        verifier(jwks={"keys": [jwk]}).verify(f"{signed}.{b64(signature)}")
    assert caught.value.reason == "unknown_key"


def test_a_token_without_a_key_name_is_checked_with_the_few_keys_of_its_algorithm() -> None:
    unnamed = make({"alg": "ES256"})
    verifier(jwks={"keys": [ec_jwk(OTHER_KEY, "old"), ec_jwk(kid="new"), rsa_jwk()]}).verify(unnamed)
    with pytest.raises(TokenRefused):
        verifier(jwks={"keys": [ec_jwk(kid=f"k{number}") for number in range(5)]}).verify(unnamed)


def test_a_text_that_looks_like_an_escape_is_a_text() -> None:
    said = claims(user_metadata={"x": r"\u0000 \\u0000"})
    assert VERIFIER.verify(make(payload=said)).claims == said


def test_two_secrets_count_while_one_is_replaced() -> None:
    verifier(secret=[b"x" * 32, SECRET]).verify(make(alg="HS256"))


@pytest.mark.parametrize(
    "unfit",
    [
        {"secret": "short"},
        {"secret": _pem(EC_KEY)},
        {"secret": _pem(RSA_KEY).decode()},
        {"secret": []},
        {"jwks": None, "secret": None},
        {"jwks": {}},
        {"jwks": {"keys": {}}},
        {"jwks": {"keys": JWKS["keys"] * 30}},
        {"issuer": ""},
        {"audience": ""},
        {"roles": "authenticated"},
        {"leeway": -1.0},
        {"jwks_url": "http://issuer.example/jwks.json"},
        {"jwks_url": "file:///etc/passwd"},
        {"jwks_url": "https://user:secret@issuer.example/"},
        {"jwks_url": "http://127.0.0.1.evil.example/jwks.json"},
    ],
)
def test_settings_that_would_accept_too_much_are_refused(unfit: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        verifier(**unfit)
    assert "short" not in caught.value.message.split() and "BEGIN" not in str(caught.value.to_json())


def test_secrets_are_never_shown() -> None:
    from tenantry.auth.verify import Trust  # noqa: PLC0415

    assert SECRET.decode() not in repr(Trust(issuer="x", secret=SECRET))
    assert "ada@example.org" not in repr(VERIFIER.verify(make()))
