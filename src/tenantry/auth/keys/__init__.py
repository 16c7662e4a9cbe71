"""The keys that sign access tokens: read from a file or the environment, published as a JWKS, rotated without a failing request.

source = load_keys(Path("auth-keys.json"), os.environ)
keys = source.keys()                       # reads a changed file again
signer = keys.current(now)                 # signs new tokens
accepted = keys.verification_keys(now)     # verify tokens
document = keys.public_jwks(now)           # never symmetric keys, never private parts
"""

from tenantry.auth.keys.environment import KEYS_FILE, load_keys
from tenantry.auth.keys.file import KeyFile, create_keys, note_token, rotate
from tenantry.auth.keys.model import (
    CACHE_SECONDS,
    FixedKeys,
    KeySource,
    SigningKey,
    SigningKeys,
    SigningKeyState,
    new_key,
    secret_key,
)

__all__ = [
    "CACHE_SECONDS",
    "KEYS_FILE",
    "FixedKeys",
    "KeyFile",
    "KeySource",
    "SigningKey",
    "SigningKeyState",
    "SigningKeys",
    "create_keys",
    "load_keys",
    "new_key",
    "note_token",
    "rotate",
    "secret_key",
]
