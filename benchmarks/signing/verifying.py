"""Verification of tokens, in one process and without a network: Tenantry's verifier beside the bare signature check of the library.

The bare check is joserfc.jws.deserialize_compact(): it takes the token apart and checks its signature, and reads no claim. Ours does the
same, checks header and claims, and makes the caller. Times are of the processor, so that other processes do not count; the ways take
turns, and the best round of each counts. p50 and p99 are of single verifications by the clock.
"""

from __future__ import annotations

import json
import time
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Callable
from statistics import quantiles
from typing import Any
from uuid import uuid4

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from benchmarks.copying.main import Figure
from tenantry.auth.verify import Trust, Verifier

RATIO_GOAL, CACHED_GOAL = 0.8, 10_000
_ISSUER = "https://project.example/auth/v1"
_SECRET = "a secret for benchmarks, of 32 bytes or more"  # noqa: S105 - and of nothing else
_GOALS = ("ES256", "HS256")


def _claims() -> dict[str, Any]:
    """What Supabase Auth says of a user with a password."""
    user, now = str(uuid4()), int(time.time())
    return {
        "iss": _ISSUER,
        "sub": user,
        "aud": "authenticated",
        "exp": now + 3600,
        "iat": now,
        "email": "ada@example.org",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"email": "ada@example.org", "email_verified": True, "phone_verified": False, "sub": user},
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": now}],
        "session_id": str(uuid4()),
        "is_anonymous": False,
    }


def _signing_keys() -> dict[str, Any]:
    return {
        "ES256": ECKey.generate_key("P-256", {"kid": "es"}),
        "HS256": OctKey.import_key(_SECRET),
        "RS256": RSAKey.generate_key(2048, {"kid": "rs"}),
        "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    }


def _best(ways: dict[str, Callable[[], object]], rounds: int, repeat: int) -> dict[str, float]:
    """Microseconds of processor time for one call of each way."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.process_time()
            for _ in range(repeat):
                way()
            best[name] = min(best[name], (time.process_time() - begun) / repeat * 1e6)
    return best


def _spread(way: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Microseconds, p50 and p99, by the clock."""
    taken = []
    for _ in range(repeat):
        begun = time.perf_counter()
        way()
        taken.append((time.perf_counter() - begun) * 1e6)
    cut = quantiles(taken, n=100)
    return cut[49], cut[98]


def figures(*, quick: bool) -> list[Figure]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library about EdDSA, which has another name since RFC 9864
        return _figures(quick)


def _figures(quick: bool) -> list[Figure]:
    rounds, repeat = (10, 50) if quick else (60, 200)
    keys = _signing_keys()
    public = {name: key.as_dict(private=False) for name, key in keys.items() if name != "HS256"}
    trust: dict[str, Any] = {"issuer": _ISSUER, "jwks": {"keys": list(public.values())}, "secret": _SECRET}
    fresh, remembering = Verifier(Trust(**trust, cached=0)), Verifier(Trust(**trust))
    found: list[Figure] = []
    for alg, key in keys.items():
        kid = {} if alg == "HS256" else {"kid": key.kid}
        header = {"alg": alg, "typ": "JWT", **kid}
        token = jws.serialize_compact(header, json.dumps(_claims()), key, algorithms=[alg])
        verifying = key if alg == "HS256" else type(key).import_key(public[alg])
        found += _of_algorithm(alg, token, verifying, fresh, rounds, repeat)
        if alg == "ES256":
            found += _remembered(token, remembering, rounds, repeat)
    return found


def _of_algorithm(alg: str, token: str, key: Any, fresh: Verifier, rounds: int, repeat: int) -> list[Figure]:
    signed, _, signature = token.encode().rpartition(b".")
    decoded = urlsafe_b64decode(signature + b"=" * (-len(signature) % 4))
    algorithm = JWSRegistry.algorithms[alg]
    registry = jws.JWSRegistry(algorithms=[alg])
    ways: dict[str, Callable[[], object]] = {
        "signature alone": lambda: algorithm.verify(signed, decoded, key),
        "library": lambda: jws.deserialize_compact(token, key, registry=registry),
        "tenantry": lambda: fresh.verify(token),
    }
    best = _best(ways, rounds, repeat)
    ratio = round(best["library"] / best["tenantry"], 2)
    goal = alg in _GOALS
    p50, p99 = _spread(ways["tenantry"], rounds * repeat // 4)
    return [
        Figure(f"{alg}: the signature alone", round(best["signature alone"], 1), "µs"),
        Figure(f"{alg}: the library's check", round(best["library"], 1), "µs"),
        Figure(f"{alg}: a verification", round(best["tenantry"], 1), "µs"),
        Figure(
            f"{alg}: verifications against the library's check",
            ratio,
            "x",
            f">= {RATIO_GOAL}" if goal else None,
            ratio >= RATIO_GOAL if goal else None,
        ),
        Figure(f"{alg}: verifications a second", round(1e6 / best["tenantry"]), "1/s"),
        Figure(f"{alg}: a verification, p50", round(p50, 1), "µs"),
        Figure(f"{alg}: a verification, p99", round(p99, 1), "µs"),
    ]


def _remembered(token: str, verifier: Verifier, rounds: int, repeat: int) -> list[Figure]:
    verifier.verify(token)
    best = _best({"remembered": lambda: verifier.verify(token)}, rounds, repeat)["remembered"]
    rate = round(1e6 / best)
    p50, p99 = _spread(lambda: verifier.verify(token), rounds * repeat // 4)
    return [
        Figure("remembered tokens a second", rate, "1/s", f">= {CACHED_GOAL:,}", rate >= CACHED_GOAL),
        Figure("a remembered token, p50", round(p50, 1), "µs"),
        Figure("a remembered token, p99", round(p99, 1), "µs"),
    ]
