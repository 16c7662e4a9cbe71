"""Signing keys as values. Pure: times come in, nothing is read or written."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol

from joserfc import jwk
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import Key

from tenantry.auth.errors import RotationPending, SigningKeysWrong

CACHE_SECONDS = 600
"""For how long others may keep the JWKS: the max-age with which the server answers."""
STANDBY_SECONDS = CACHE_SECONDS + 60
"""For how long a new key is published before it signs: the caches' time, and one minute for clocks that differ."""
SHORTEST_SECRET = 32
"""Bytes: RFC 7518 asks for as many as the digest of HS256 has."""
_FEWEST_RSA_BITS = 2048
_ALGORITHMS = {("EC", "P-256"): "ES256", ("RSA", None): "RS256", ("oct", None): "HS256"}
GENERATED = ("ES256", "RS256")
"""The algorithms that a new key can be made for; the first is the default."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key, and when it is used. Neither repr nor str shows its value.

    Attributes:
        kid: empty: the key has no name, and tokens that it signs have no `kid` either.
        algorithm: the only JWS algorithm for which this key counts: ES256, RS256 or HS256.
        key: the key of the library joserfc, with its private part where the key can sign.
        signs_from: time, in seconds since the epoch, from which it signs; math.inf: never.
        verifies_until: time at which its last token is over; None: no end is known.
        tokens_until: expiry of its longest known token that lives longer than an access token; 0: there is none.
    """

    kid: str
    algorithm: str
    key: Key = field(repr=False)
    signs_from: float = 0.0
    verifies_until: float | None = None
    tokens_until: float = 0.0

    @property
    def symmetric(self) -> bool:
        return self.algorithm == "HS256"

    def public(self) -> dict[str, Any]:
        """The key's entry of the JWKS.

        Raises:
            ValueError: the key is symmetric.
        """
        if self.symmetric:
            raise ValueError("a symmetric key has no public part")
        shown: dict[str, Any] = {
            name: value
            for name, value in self.key.as_dict(private=False).items()
            if name in ("kty", "crv", "x", "y", "n", "e")
        }
        return {**shown, "kid": self.kid, "alg": self.algorithm, "use": "sig", "key_ops": ["verify"], "ext": True}

    def verifies(self, now: float) -> bool:
        return self.verifies_until is None or now < self.verifies_until


@dataclass(frozen=True, slots=True)
class SigningKeyState:
    """The public facts about a key.

    Attributes:
        state: current (signs), standby (is published and signs later), previous (verifies only), expired (counts no more).
        signs_from: None: it never signs.
    """

    kid: str
    algorithm: str
    state: Literal["current", "standby", "previous", "expired"]
    signs_from: float | None
    verifies_until: float | None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """All keys of a server, the newest first. Times are seconds since the epoch."""

    keys: tuple[SigningKey, ...]

    def current(self, now: float) -> SigningKey:
        """Return the key that signs new tokens: the one that began last.

        Raises:
            SigningKeysWrong: no key signs at this time.
        """
        started = [each for each in self.keys if each.signs_from <= now and each.verifies(now)]
        if not started:
            raise SigningKeysWrong(
                "No signing key signs yet.", hint="Check the clock of this machine, and `tenantry auth keys show`."
            )
        return max(started, key=lambda each: each.signs_from)

    def standby(self, now: float) -> SigningKey | None:
        """Return the key that is published and does not sign yet, if there is one."""
        return next((each for each in self.keys if now < each.signs_from < math.inf), None)

    def verification_keys(self, now: float) -> tuple[SigningKey, ...]:
        """Return the keys whose tokens are accepted: the current one, the next one, and earlier ones until their last token is over."""
        return tuple(each for each in self.keys if each.verifies(now))

    def states(self, now: float) -> tuple[SigningKeyState, ...]:
        """Return what each key is used for."""
        current, standby = self.current(now), self.standby(now)

        def state(each: SigningKey) -> Literal["current", "standby", "previous", "expired"]:
            if each is current:
                return "current"
            return "standby" if each is standby else "previous" if each.verifies(now) else "expired"

        return tuple(
            SigningKeyState(
                each.kid,
                each.algorithm,
                state(each),
                each.signs_from if math.isfinite(each.signs_from) else None,
                each.verifies_until,
            )
            for each in self.keys
        )

    def public_jwks(self, now: float) -> dict[str, list[dict[str, Any]]]:
        """Return the JWKS: the public parts of the verification keys. Symmetric keys are never in it."""
        return {"keys": [each.public() for each in self.verification_keys(now) if not each.symmetric]}

    def rotated(self, new: SigningKey, now: float, *, longest_token: float) -> SigningKeys:
        """Return the keys with a new one, which is published now and signs as soon as no cache lacks it.

        The current key verifies until its last token is over; keys without a token left are dropped.

        Args:
            longest_token: lifetime of an access token in seconds.

        Raises:
            RotationPending: the new key of an earlier rotation does not sign yet.
        """
        waiting = self.standby(now)
        if waiting is not None:
            raise RotationPending(
                f"Key {waiting.kid} is published and signs in {math.ceil(waiting.signs_from - now)} seconds; a further key cannot"
                " follow before that.",
                detail={"kid": waiting.kid, "signs_from": waiting.signs_from},
            )
        begins = now + STANDBY_SECONDS
        current = self.current(now)
        ended = replace(current, verifies_until=max(begins + longest_token, current.tokens_until) + 60)
        earlier = tuple(each for each in self.verification_keys(now) if each is not current)
        return SigningKeys((replace(new, signs_from=begins), ended, *earlier))

    def replaced(self, new: SigningKey, now: float) -> SigningKeys:
        """Return the new key alone: it signs at once, and tokens of all other keys are refused, since those keys leaked."""
        return SigningKeys((replace(new, signs_from=now),))

    def with_token(self, kid: str, until: float) -> SigningKeys:
        """Return the keys with the note that one of them signed a token that lives until then."""
        noted = tuple(
            replace(each, tokens_until=max(each.tokens_until, until)) if each.kid == kid else each for each in self.keys
        )
        return SigningKeys(noted)


class KeySource(Protocol):
    """Where a server has its keys from."""

    def keys(self) -> SigningKeys:
        """Return the keys as they are now; cheap enough for every request."""
        ...


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that stay the same while the process runs, as those of the environment."""

    given: SigningKeys

    def keys(self) -> SigningKeys:
        return self.given


def new_key(algorithm: str = "ES256") -> SigningKey:
    """Generate a key; its kid is the thumbprint of RFC 7638.

    Raises:
        SigningKeysWrong: the algorithm is not one of GENERATED.
    """
    made: Key
    if algorithm == "ES256":
        made = jwk.ECKey.generate_key("P-256")
    elif algorithm == "RS256":
        made = jwk.RSAKey.generate_key(3072)
    else:
        raise SigningKeysWrong(
            f"No key is made for the algorithm {algorithm!r}.", hint=f"Give one of {', '.join(GENERATED)}."
        )
    return SigningKey(made.thumbprint(), algorithm, made)


def secret_key(secret: str, *, signs: bool = True, kid: str = "") -> SigningKey:
    """Return the key for HS256 that a shared secret is.

    Args:
        signs: False: tokens of this secret are accepted, and new ones are signed by another key.

    Raises:
        SigningKeysWrong: the secret is shorter than 32 bytes.
    """
    if len(secret.encode()) < SHORTEST_SECRET:
        raise SigningKeysWrong(
            f"The secret for HS256 has {len(secret.encode())} bytes; it needs {SHORTEST_SECRET} at least.",
            hint="Make one with `openssl rand -base64 48`, or use keys of ES256: `tenantry auth init` creates one.",
        )
    return SigningKey(kid, "HS256", jwk.OctKey.import_key(secret), 0.0 if signs else math.inf)


def read_jwk(given: object, where: str) -> SigningKey:
    """Return the key of a JWK, which must be able to sign or to verify with one of the three algorithms.

    Args:
        where: the place of the JWK, for messages; they never show a part of it.

    Raises:
        SigningKeysWrong
    """
    if not isinstance(given, Mapping):
        raise SigningKeysWrong(f"{where} is not a JWK: it must be a JSON object.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)
            found = jwk.import_key(dict(given))
    except (JoseError, SecurityWarning, ValueError, TypeError, KeyError) as error:
        # The library's message may quote what it read.
        raise SigningKeysWrong(f"{where} is not a JWK that can be read ({type(error).__name__}).") from None
    curve = given.get("crv") if found.key_type != "RSA" else None
    algorithm = _ALGORITHMS.get((found.key_type, curve))
    if algorithm is None or given.get("alg", algorithm) != algorithm:
        raise SigningKeysWrong(
            f"{where} is for an algorithm that is not supported.",
            hint="Keys are for ES256 (EC, P-256), RS256 (RSA) or HS256 (oct).",
        )
    if given.get("use", "sig") != "sig":
        raise SigningKeysWrong(f"{where} is not for signatures: its `use` is not `sig`.")
    _need_strength(found, where)
    kid = given.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise SigningKeysWrong(f"{where} has a kid that is no text.")
    return SigningKey(kid if kid is not None else found.thumbprint(), algorithm, found)


def _need_strength(found: Key, where: str) -> None:
    if isinstance(found, jwk.OctKey) and len(found.raw_value) < SHORTEST_SECRET:
        raise SigningKeysWrong(f"{where} is a secret of less than {SHORTEST_SECRET} bytes.")
    if isinstance(found, jwk.RSAKey) and found.raw_value.key_size < _FEWEST_RSA_BITS:
        raise SigningKeysWrong(f"{where} is an RSA key of less than {_FEWEST_RSA_BITS} bits.")
