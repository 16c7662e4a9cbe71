"""Keys, and tokens made by hand: a library would refuse to make most of those that attackers send."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tenantry.auth.verify import Trust, Verifier

NOW = 1_800_000_000
ISSUER = "https://project.example/auth/v1"
SECRET = b"a secret for tests, with more than 32 bytes"
USER, SESSION = "5f0c0a52-94a5-4b5e-8f0d-0c5ad1b7c001", "5f0c0a52-94a5-4b5e-8f0d-0c5ad1b7c002"

EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int) -> str:
    return b64(value.to_bytes(size, "big"))


def ec_jwk(key: ec.EllipticCurvePrivateKey = EC_KEY, kid: str = "ec", **more: Any) -> dict[str, Any]:
    public = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": number(public.x, 32), "y": number(public.y, 32), "kid": kid, **more}


def ed_jwk() -> dict[str, Any]:
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(ED_KEY.public_key().public_bytes_raw()), "kid": "ed"}


def rsa_jwk(**more: Any) -> dict[str, Any]:
    public = RSA_KEY.public_key().public_numbers()
    return {"kty": "RSA", "n": number(public.n, 256), "e": number(public.e, 3), "kid": "rsa", "alg": "RS256", **more}


JWKS = {"keys": [ec_jwk(alg="ES256", use="sig", key_ops=["verify"]), rsa_jwk(), ed_jwk()]}


def claims(**changed: Any) -> dict[str, Any]:
    """What a token says; a claim that is given as `...` is left out."""
    said = {
        "iss": ISSUER,
        "aud": "authenticated",
        "sub": USER,
        "role": "authenticated",
        "aal": "aal1",
        "session_id": SESSION,
        "email": "ada@example.org",
        "is_anonymous": False,
        "iat": NOW - 60,
        "exp": NOW + 3540,
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {},
        **changed,
    }
    return {name: value for name, value in said.items() if value is not ...}


def text(value: Mapping[str, Any] | str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def hs256(signed: bytes, secret: bytes = SECRET) -> bytes:
    return hmac.new(secret, signed, hashlib.sha256).digest()


def es256(signed: bytes, key: ec.EllipticCurvePrivateKey = EC_KEY) -> bytes:
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def rs256(signed: bytes) -> bytes:
    return RSA_KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256())


SIGNERS: dict[str, Callable[[bytes], bytes]] = {"HS256": hs256, "ES256": es256, "RS256": rs256, "EdDSA": ED_KEY.sign}
KIDS = {"ES256": "ec", "RS256": "rsa", "EdDSA": "ed"}


def make(
    header: Mapping[str, Any] | str | bytes | None = None,
    payload: Mapping[str, Any] | str | bytes | None = None,
    signature: bytes | None = None,
    *,
    alg: str = "ES256",
) -> str:
    """Make a token; what is not given is right for the algorithm."""
    kid = {"kid": KIDS[alg]} if alg in KIDS else {}
    head = b64(text({"alg": alg, "typ": "JWT", **kid} if header is None else header))
    signed = f"{head}.{b64(text(claims() if payload is None else payload))}"
    return f"{signed}.{b64(SIGNERS[alg](signed.encode()) if signature is None else signature)}"


def verifier(**changed: Any) -> Verifier:
    """A verifier of all four kinds of keys, at NOW."""
    return Verifier(Trust(**{"issuer": ISSUER, "jwks": JWKS, "secret": SECRET, **changed}), clock=lambda: NOW)
