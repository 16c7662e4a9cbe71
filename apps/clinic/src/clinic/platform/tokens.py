"""Encrypts access tokens with AES-128-CBC and HMAC (Fernet); the key comes from the environment.

CLINIC_TOKEN_KEY holds one or several Fernet keys separated by commas: the first encrypts, all decrypt, so a key can be
changed without downtime. Create one with `python -m clinic.platform.tokens`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

VARIABLE = "CLINIC_TOKEN_KEY"


class TokenKeyError(Exception):
    """The key is missing, malformed, or not the one a token was encrypted with. Never contains a key or a token."""


def _cipher() -> MultiFernet:
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        raise TokenKeyError(f"{VARIABLE} is not set; make a key with: python -m clinic.platform.tokens")
    try:
        return MultiFernet([Fernet(key.strip()) for key in text.split(",")])
    except ValueError:
        raise TokenKeyError(f"{VARIABLE} holds no valid key; make one with: python -m clinic.platform.tokens") from None


def encrypt(tokens: Sequence[str]) -> list[bytes]:
    """Tokens as they are stored in bytea columns."""
    cipher = _cipher()
    return [cipher.encrypt(token.encode()) for token in tokens]


def decrypt(stored: Sequence[bytes]) -> list[str]:
    """Decrypt tokens.

    Raises:
        TokenKeyError: a token was encrypted with another key, or was tampered with.
    """
    cipher = _cipher()
    try:
        return [cipher.decrypt(bytes(token)).decode() for token in stored]
    except InvalidToken:
        raise TokenKeyError(f"a stored token does not belong to the key in {VARIABLE}") from None


if __name__ == "__main__":
    print(Fernet.generate_key().decode())  # noqa: T201 - this is what the module is called for
