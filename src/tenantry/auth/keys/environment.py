"""Where the keys are: a file, or the environment with the names of Supabase Auth."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tenantry.auth.errors import SigningKeysWrong
from tenantry.auth.keys.file import KeyFile
from tenantry.auth.keys.model import FixedKeys, KeySource, SigningKey, SigningKeys, read_jwk, secret_key

KEYS_FILE = "GOTRUE_JWT_KEYS_FILE"
"""The variable that names the file of keys."""
_JWKS = ("GOTRUE_JWT_KEYS", "JWT_KEYS")
_SECRET = ("GOTRUE_JWT_SECRET", "JWT_SECRET")


def load_keys(path: Path | None, environment: Mapping[str, str]) -> KeySource:
    """Return the keys of a file, or of the environment: `GOTRUE_JWT_KEYS` (a JSON array of JWKs; the one whose key_ops contain
    `sign` signs), or `GOTRUE_JWT_SECRET` (HS256). Beside other keys, tokens of the secret are accepted and none are signed with it.

    Args:
        path: the file; None: the one that GOTRUE_JWT_KEYS_FILE names, if any.

    Raises:
        SigningKeysWrong: there are no keys, or they cannot be read, or the file and GOTRUE_JWT_KEYS are both given.
        SigningKeysExposed: others may read the file.
    """
    named = _first(environment, (KEYS_FILE, "JWT_KEYS_FILE"))
    if path is None and named is not None:
        path = Path(named[1])
    listed = _first(environment, _JWKS)
    secret = _first(environment, _SECRET)
    if path is not None and listed is not None:
        raise SigningKeysWrong(
            f"There are two sources of signing keys: {path} and {listed[0]}.", hint="Keep the one, remove the other."
        )
    if path is not None:
        return KeyFile(path, () if secret is None else (secret_key(secret[1], signs=False),))
    if listed is not None:
        keys = _read_list(*listed)
        if secret is not None:
            keys = (*keys, secret_key(secret[1], signs=False))
        return FixedKeys(SigningKeys(keys))
    if secret is not None:
        return FixedKeys(SigningKeys((secret_key(secret[1]),)))
    raise SigningKeysWrong(
        "There are no signing keys.",
        hint=f"Run `tenantry auth init`, which creates a file, or name one in {KEYS_FILE}, or set {_JWKS[0]} or {_SECRET[0]}.",
    )


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str] | None:
    return next(((name, environment[name]) for name in names if environment.get(name)), None)


def _read_list(name: str, text: str) -> tuple[SigningKey, ...]:
    try:
        loaded = json.loads(text)
    except ValueError:
        raise SigningKeysWrong(f"{name} is not JSON.", hint="It is a JSON array of JWKs.") from None
    if not isinstance(loaded, list) or not loaded:
        raise SigningKeysWrong(f"{name} has no keys.", hint="It is a JSON array of JWKs.")
    keys, signing = [], 0
    for number, given in enumerate(loaded, 1):
        found = read_jwk(given, f"Key {number} of {name}")
        signs = _signs(given, len(loaded))
        if signs and not found.key.is_private:
            raise SigningKeysWrong(f"Key {number} of {name} shall sign and has no private part.")
        signing += signs
        keys.append(found if signs else replace(found, signs_from=math.inf))
    if signing != 1:
        raise SigningKeysWrong(
            f"{signing} keys of {name} sign.", hint="Give exactly one key the key_ops `sign`, and the others `verify`."
        )
    if len({each.kid for each in keys}) < len(keys):
        raise SigningKeysWrong(f"Two keys of {name} have the same kid.")
    return tuple(keys)


def _signs(given: Mapping[str, object], count: int) -> bool:
    """Whether a key signs; a single key without key_ops does."""
    operations = given.get("key_ops")
    return "sign" in operations if isinstance(operations, list) else count == 1
