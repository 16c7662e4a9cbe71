"""Passwords: checked against every form of hash that accounts were migrated with, and hashed with bcrypt.

bcrypt holds a core for some 50 ms, so hashing runs in a bounded pool of threads: more sign-ins at once wait in line, and the rest of the
server goes on. bcrypt and argon2 release Python's lock while they work.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
import bcrypt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tenantry.accounts.password_hashes import kind_of

COST = 10
"""bcrypt's cost for new hashes, as Supabase Auth has it."""
LONGEST = 72
"""Bytes of a password that bcrypt reads; longer ones are refused."""

_Result = TypeVar("_Result")

_ARGON2 = argon2.PasswordHasher()
_FIREBASE = re.compile(
    r"\$fbscrypt\$v=1,n=(?P<n>\d+),r=(?P<r>\d+),p=(?P<p>\d+)(?:,ss=(?P<ss>[^,$]*))?(?:,sk=(?P<sk>[^,$]*))\$(?P<salt>[^$]+)\$(?P<hash>.+)"
)
# What a hash may ask for: a row written by others must not stop the server.
_MOST_MEMORY = 256 * 1024 * 1024
_MOST_ROUNDS = 16


class Passwords:
    """Hashes and checks passwords in a bounded pool of threads."""

    def __init__(self, threads: int | None = None, cost: int = COST) -> None:
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="passwords")
        self._cost = cost
        # Checked where there is no account, so that an answer takes as long as with one.
        self._nobody = bcrypt.hashpw(secrets.token_bytes(16), bcrypt.gensalt(cost)).decode()

    async def hashed(self, password: str) -> str:
        """Return the bcrypt hash of a password of at most 72 bytes."""
        return await self._run(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._cost)).decode())

    async def matches(self, password: str, stored: str | None) -> bool:
        """Check a password against a stored hash. Without a usable hash the answer is False, after as long as with one."""
        if not stored or kind_of(stored) is None:
            await self._run(lambda: verify(password, self._nobody))
            return False
        return await self._run(lambda: verify(password, stored))

    def outdated(self, stored: str) -> bool:
        """Return whether a hash is to be replaced by one of bcrypt at the next sign-in."""
        return not re.match(rf"\$2[aby]\${self._cost:02d}\$", stored)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def verify(password: str, stored: str) -> bool:
    """Check a password against a bcrypt, argon2 or Firebase scrypt hash. Slow on purpose; never raises for a bad hash."""
    match kind_of(stored):
        case "bcrypt":
            return _bcrypt(password, stored)
        case "argon2":
            return _argon2(password, stored)
        case "firebase scrypt":
            return _firebase(password, stored)
    return False


def _bcrypt(password: str, stored: str) -> bool:
    encoded = password.encode()
    if len(encoded) > LONGEST:
        # Older libraries hashed the first 72 bytes of longer passwords; such a hash is checked in the same way.
        encoded = encoded[:LONGEST]
    try:
        return bcrypt.checkpw(encoded, stored.replace("$2x$", "$2b$", 1).encode())
    except ValueError:
        return False


def _argon2(password: str, stored: str) -> bool:
    try:
        parameters = argon2.extract_parameters(stored)
        if parameters.memory_cost * 1024 > _MOST_MEMORY or parameters.time_cost > _MOST_ROUNDS:
            return False
        return _ARGON2.verify(stored, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError, ValueError):
        return False


def _firebase(password: str, stored: str) -> bool:
    """Check a hash of Firebase's variant of scrypt: the derived key encrypts the project's signer key, and that is the hash."""
    found = _FIREBASE.fullmatch(stored)
    if not found or not found["sk"]:
        return False
    try:
        salt = base64.b64decode(found["salt"]) + base64.b64decode(found["ss"] or "")
        signer, wanted = base64.b64decode(found["sk"]), base64.b64decode(found["hash"])
        rounds, block, parallel = 1 << int(found["n"]), int(found["r"]), int(found["p"])
        if int(found["n"]) > 20 or 128 * rounds * block > _MOST_MEMORY:
            return False
        key = hashlib.scrypt(
            password.encode(), salt=salt, n=rounds, r=block, p=parallel, maxmem=_MOST_MEMORY * 2, dklen=32
        )
    except (ValueError, OverflowError, MemoryError):
        return False
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return hmac.compare_digest(encryptor.update(signer) + encryptor.finalize(), wanted)


def weaknesses(password: str, shortest: int, sets: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return what a password lacks, as pairs of Supabase Auth's reason and a sentence; empty if it is strong enough."""
    lacks: list[tuple[str, str]] = []
    if len(password.encode()) < shortest:
        lacks.append(("length", f"Password should be at least {shortest} characters."))
    if any(not set(each) & set(password) for each in sets):
        lacks.append(("characters", f"Password should contain at least one character of each: {', '.join(sets)}."))
    return lacks


__all__ = ["COST", "LONGEST", "Passwords", "verify", "weaknesses"]
