"""Keys that verify signatures. Each has one algorithm, which it states; what a token's header states only has to equal it.

joserfc does the cryptography: it imports the keys and checks the signatures.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tenantry.auth.verify.errors import AuthPackagesMissing
from tenantry.errors import SettingsError

try:
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
    from joserfc.jws import JWSRegistry
except ImportError as missing:  # pragma: no cover - tests/unit/auth/verify/test_packages.py hides the package
    raise AuthPackagesMissing(
        "The verification of tokens needs joserfc, which is not installed.",
        hint="pip install 'tenantry[auth]'",
    ) from missing

KEY_LIMIT = 64
"""Keys of one JWK set."""
CANDIDATES = 4
"""Keys that are tried for a token that names none."""
SECRET_BYTES = 32
"""The shortest secret of HS256 (RFC 7518, 3.2)."""
RSA_BITS = (2048, 8192)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, its name and its only algorithm.

    Attributes:
        name: what the key is, whatever it is called: equal for the same key of two fetches.
    """

    kid: str | None
    alg: str
    name: str
    _key: Any = field(repr=False)
    _algorithm: Any = field(repr=False)

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """Whether the signature is right. Never raises an error for what a token contains."""
        try:
            return bool(self._algorithm.verify(signed, signature, self._key))
        except (JoseError, ValueError, TypeError, OverflowError):
            return False


class VerificationKeys:
    """The keys of an issuer, by name. Immutable."""

    def __init__(self, keys: Iterable[VerificationKey] = ()) -> None:
        self.all = tuple(keys)
        self.names = frozenset(key.name for key in self.all)
        self._kids = frozenset(key.kid for key in self.all)
        found: dict[tuple[str | None, str], list[VerificationKey]] = {}
        for key in self.all:
            for kid in {key.kid, None}:
                found.setdefault((kid, key.alg), []).append(key)
        self._candidates = {stated: tuple(each) for stated, each in found.items() if len(each) <= CANDIDATES}

    def knows(self, kid: str | None) -> bool:
        """Whether a key has this name. Tokens without a key's name ask for no other keys than these."""
        return kid is None or kid in self._kids

    def candidates(self, kid: str | None, alg: str) -> tuple[VerificationKey, ...]:
        """The keys of this name and algorithm; without a name, those of the algorithm, if they are few."""
        return self._candidates.get((kid, alg), ())


def read_jwks(document: object) -> VerificationKeys:
    """Read a JWK set; keys of other kinds, uses and algorithms are left out (RFC 7517, 5).

    Raises:
        SettingsError: it is no JWK set, or it has more than KEY_LIMIT keys.
    """
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or len(entries) > KEY_LIMIT:
        raise SettingsError(
            f"This is no JWK set with at most {KEY_LIMIT} keys.", hint='A JWK set has the form {"keys": […]}.'
        )
    return VerificationKeys(key for entry in entries if (key := _public_key(entry)) is not None)


def secret_keys(secrets: Iterable[str | bytes]) -> VerificationKeys:
    """Read secrets of HS256.

    Raises:
        SettingsError: a secret is shorter than SECRET_BYTES, or a public key. The message omits it.
    """
    found = []
    for number, secret in enumerate(secrets, 1):
        value = secret.encode() if isinstance(secret, str) else secret
        if len(value) < SECRET_BYTES:
            raise SettingsError(
                f"The secret for HS256 has fewer than {SECRET_BYTES} bytes.", hint="Anyone could guess a short secret."
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                key = OctKey.import_key(value)
        except (JoseError, ValueError, Warning):
            raise SettingsError(
                "The secret for HS256 looks like a public key.",
                hint="Give public keys as `jwks_url` or `jwks`: as a secret, everyone who has the public key could make tokens.",
            ) from None
        found.append(VerificationKey(None, "HS256", f"secret {number}", key, JWSRegistry.algorithms["HS256"]))
    return VerificationKeys(found)


def _public_key(entry: object) -> VerificationKey | None:
    """Return the key of an entry; None if it is not for signatures of an algorithm that is accepted. Symmetric keys never
    are: HS256 is for secrets only."""
    if not isinstance(entry, dict):
        return None
    alg = _algorithm(entry)
    kid = entry.get("kid")
    operations = entry.get("key_ops", ["verify"])
    if (
        alg is None
        or entry.get("use", "sig") != "sig"
        or not (isinstance(operations, list) and "verify" in operations)
        or not (kid is None or isinstance(kid, str))
    ):
        return None
    kind: type[ECKey | RSAKey | OKPKey] = _KINDS[entry["kty"]]
    # Private parts, certificates and notes of the issuer are of no interest here.
    public = {name: entry[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in entry}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of short keys, which are left out below
            key = kind.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None
    if isinstance(key, RSAKey) and not RSA_BITS[0] <= key.raw_value.key_size <= RSA_BITS[1]:
        return None
    name = json.dumps([kid, alg, public], sort_keys=True)
    return VerificationKey(kid, alg, name, key, JWSRegistry.algorithms[_LIBRARY.get(alg, alg)])


_KINDS: Final[dict[str, type[ECKey | RSAKey | OKPKey]]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
_LIBRARY: Final = {"Ed25519": "EdDSA"}


def _algorithm(entry: dict[str, Any]) -> str | None:
    """Return the one algorithm of a JWK, by its kind and curve; the member `alg` may only confirm it. None if it has another."""
    kind, curve = entry.get("kty"), entry.get("crv") if entry.get("kty") != "RSA" else None
    possible = _ALGORITHMS.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str | None) else None
    if possible is None:
        return None
    stated = entry.get("alg", possible[0])
    return stated if stated in possible else None


_ALGORITHMS: Final[dict[tuple[str, str | None], tuple[str, ...]]] = {
    ("EC", "P-256"): ("ES256",),
    ("RSA", None): ("RS256",),
    # Two names of one algorithm: RFC 8037 and RFC 9864.
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),
}
"""What verifies by kind and curve of a JWK; the first name counts if the JWK states none."""

PUBLIC_ALGORITHMS: Final = frozenset(name for names in _ALGORITHMS.values() for name in names)
"""The algorithms of public keys."""
