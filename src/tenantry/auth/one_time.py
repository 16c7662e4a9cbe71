"""Hashes of one-time codes: what a link carries, and what the database keeps. Pure."""

from __future__ import annotations

import hashlib
import hmac
import secrets

_SALT = 28
"""Characters of a hash that are drawn: 112 bits."""


def new_hash(address: str, code: str) -> str:
    """Return a new hash of a code for an address: 56 hex digits, of which the first 28 are drawn and the others depend on all three.

    A link does what its code does. Were the hash made from address and code alone, as Supabase Auth makes it, whoever knows the address could
    try a million hashes in place of the codes, and no limit of guesses would count them.
    """
    salt = secrets.token_hex(_SALT // 2)
    return salt + _digest(address, code, salt)


def is_hash_of(stored: str, address: str, code: str) -> bool:
    """Whether a stored hash is that of a code for an address. Hashes that Supabase Auth made count too."""
    salt = stored[:_SALT]
    ours = hmac.compare_digest(stored.encode(), (salt + _digest(address, code, salt)).encode())
    theirs = hmac.compare_digest(
        stored.encode(), hashlib.sha224((address.lower() + code).encode()).hexdigest().encode()
    )
    return ours or theirs


def _digest(address: str, code: str, salt: str) -> str:
    return hashlib.sha224("\n".join((salt, address.lower(), code)).encode()).hexdigest()[:_SALT]


__all__ = ["is_hash_of", "new_hash"]
