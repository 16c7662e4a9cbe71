"""The verifier: from the text of a token to its caller, or to a refusal."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenantry.auth.verify.caller import ClaimRules, VerifiedCaller, read_caller
from tenantry.auth.verify.compact import Compact, decode_segment, read_header, split
from tenantry.auth.verify.errors import TokenRefused
from tenantry.auth.verify.fetch import FetchRules
from tenantry.auth.verify.issuer_keys import IssuerKeys
from tenantry.auth.verify.keys import PUBLIC_ALGORITHMS, VerificationKeys, read_jwks, secret_keys
from tenantry.errors import SettingsError

_HEADERS = 64
"""Headers of tokens that were right are kept: an issuer writes the same few again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The issuer whose tokens are accepted, and what must be in them. Secrets are never shown by repr().

    Attributes:
        issuer: the claim `iss`, exactly.
        audience: must be the claim `aud`, or in it.
        jwks_url: where the issuer publishes its public keys; https, or an address of this machine.
        jwks: public keys that never change, as a JWK set.
        secret: for HS256, 32 bytes or more; several while a secret is being replaced.
        roles: values of the claim `role` that are accepted.
        leeway: seconds by which the issuer's clock may differ.
        max_bytes: the longest token.
        cached: how many verified tokens are remembered, at most until they expire; 0 for none.
    """

    issuer: str
    audience: str = "authenticated"
    jwks_url: str | None = None
    jwks: Mapping[str, Any] | None = field(default=None, repr=False)
    secret: str | bytes | Sequence[str | bytes] | None = field(default=None, repr=False)
    roles: Sequence[str] = ("authenticated",)
    leeway: float = 5.0
    max_bytes: int = 16_384
    cached: int = 10_000
    fetching: FetchRules = field(default_factory=FetchRules)

    @classmethod
    def supabase(cls, url: str, **more: Any) -> Trust:
        """Trust the tokens of a Supabase project, such as https://abc.supabase.co, or of `tenantry auth serve` behind such an address.

        Args:
            more: other attributes, such as secret="…" for a project that still signs with HS256.
        """
        issuer = f"{url.rstrip('/')}/auth/v1"
        return cls(**{"issuer": issuer, "jwks_url": f"{issuer}/.well-known/jwks.json", **more})


@dataclass(frozen=True, slots=True)
class _Seen:
    """A verified token: its caller, and the key that verified it."""

    caller: VerifiedCaller
    key: str


class Verifier:
    """Verifies access tokens. Make one for a process, and share it: it is safe for threads and event loops.

    Raises:
        SettingsError: no key, or settings that are not possible.
    """

    def __init__(self, trust: Trust, *, clock: Callable[[], float] = time.time) -> None:
        if not trust.issuer or not trust.audience or not trust.roles or isinstance(trust.roles, str):
            raise SettingsError("A verifier needs an issuer, an audience and a list of roles.")
        if trust.jwks_url is None and trust.jwks is None and trust.secret is None:
            raise SettingsError("A verifier needs keys.", hint="Give jwks_url, jwks or secret.")
        if trust.leeway < 0 or trust.max_bytes < 1 or trust.cached < 0:
            raise SettingsError("leeway, max_bytes and cached of a verifier cannot be negative.")
        secrets = [trust.secret] if isinstance(trust.secret, str | bytes) else trust.secret or ()
        if trust.secret is not None and not secrets:
            raise SettingsError("The secret for HS256 is empty.")
        self._secrets = secret_keys(secrets)
        self._static = read_jwks(trust.jwks) if trust.jwks is not None else VerificationKeys()
        self._fixed = self._secrets.names | self._static.names
        self._source = IssuerKeys(trust.jwks_url, trust.fetching) if trust.jwks_url is not None else None
        self._rules = ClaimRules(trust.issuer, trust.audience, frozenset(trust.roles), trust.leeway)
        self._limit, self._clock = trust.max_bytes, clock
        self._cached, self._seen = trust.cached, OrderedDict[bytes, _Seen]()
        self._headers: dict[bytes, tuple[str, str | None]] = {}
        self._lock = threading.Lock()

    def verify(self, token: str | bytes) -> VerifiedCaller:
        """Return the caller of a token.

        Raises:
            TokenRefused: the token is not accepted.
            KeysUnavailable: the issuer's keys cannot be fetched.
        """
        given = self._given(token)
        seen = self._look_up(given)
        if seen is not None and (seen.key in self._fixed or seen.key in self._fetched(None).names):
            return seen.caller
        compact, header = self._open(given)
        return self._check(given, compact, header, self._keys(compact) or self._fetched(compact.kid))

    async def verify_async(self, token: str | bytes) -> VerifiedCaller:
        """Like verify(), without blocking the event loop while keys are fetched."""
        given = self._given(token)
        seen = self._look_up(given)
        if seen is not None and (seen.key in self._fixed or seen.key in (await self._fetched_async(None)).names):
            return seen.caller
        compact, header = self._open(given)
        return self._check(given, compact, header, self._keys(compact) or await self._fetched_async(compact.kid))

    def _given(self, token: str | bytes) -> bytes:
        try:
            return token.encode("ascii") if isinstance(token, str) else token
        except UnicodeEncodeError:
            raise TokenRefused("The token has characters that no token has.", reason="malformed") from None

    def _look_up(self, given: bytes) -> _Seen | None:
        if not self._cached or len(given) > self._limit:
            return None
        digest = hashlib.sha256(given).digest()
        with self._lock:
            seen = self._seen.get(digest)
            if seen is None:
                return None
            if self._clock() >= seen.caller.expires_at:
                del self._seen[digest]
                return None
            self._seen.move_to_end(digest)
            return seen

    def _open(self, given: bytes) -> tuple[Compact, bytes]:
        header, payload, signature = split(given, self._limit)
        alg, kid = self._headers.get(header) or read_header(header)
        decoded = decode_segment(payload, "payload"), decode_segment(signature, "signature")
        return Compact(alg, kid, decoded[0], given[: -len(signature) - 1], decoded[1]), header

    def _keys(self, compact: Compact) -> VerificationKeys | None:
        """The keys that are at hand for a token; None where those of the issuer are to be asked.

        A secret has no name, whatever key its tokens name.

        Raises:
            TokenRefused: no key of this verifier can have the algorithm; the issuer is not asked.
        """
        if compact.alg == "HS256" and self._secrets.all:
            return self._secrets
        if compact.alg not in PUBLIC_ALGORITHMS:
            raise TokenRefused("The token's algorithm is none that is accepted.", reason="algorithm")
        if self._source is None or (compact.kid is not None and self._static.candidates(compact.kid, compact.alg)):
            return self._static
        return None

    def _fetched(self, kid: str | None) -> VerificationKeys:
        return self._source.get(kid) if self._source is not None else self._static

    async def _fetched_async(self, kid: str | None) -> VerificationKeys:
        return await self._source.get_async(kid) if self._source is not None else self._static

    def _check(self, given: bytes, compact: Compact, header: bytes, keys: VerificationKeys) -> VerifiedCaller:
        kid = None if keys is self._secrets else compact.kid
        if not keys.knows(kid):
            raise TokenRefused("The token names a key that its issuer does not have.", reason="unknown_key")
        candidates = keys.candidates(kid, compact.alg)
        if not candidates:
            raise TokenRefused("The token's algorithm is not that of the issuer's key.", reason="algorithm")
        for key in candidates:
            if key.verify(compact.signed, compact.signature):
                break
        else:
            raise TokenRefused("The token's signature is wrong.", reason="signature")
        now = self._clock()
        caller = read_caller(compact.payload, self._rules, now)
        if len(self._headers) < _HEADERS:
            self._headers[header] = (compact.alg, compact.kid)
        if self._cached and now < caller.expires_at:
            with self._lock:
                self._seen[hashlib.sha256(given).digest()] = _Seen(caller, key.name)
                while len(self._seen) > self._cached:
                    self._seen.popitem(last=False)
        return caller
