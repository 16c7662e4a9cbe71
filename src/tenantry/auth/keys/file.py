"""The file of signing keys: created and rotated atomically, refused when others can read it, re-read when it changes.

{"tenantry_signing_keys": 1,
 "keys": [{"jwk": {…, with the private part}, "signs_from": 1890000000.0, "verifies_until": null, "tokens_until": 0}]}
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenantry.auth.errors import SigningKeysExposed, SigningKeysWrong
from tenantry.auth.keys.model import SigningKey, SigningKeys, new_key, read_jwk

_log = logging.getLogger("tenantry.auth.keys")
_FORMAT = "tenantry_signing_keys"
_VERSION = 1
_LOOK_EVERY = 1.0
"""Seconds between two looks at the file's state, so that a request costs no system call."""
_Mark = tuple[int, int, int, int]


class KeyFile:
    """The keys of a file. Several processes can have it open while another one rotates.

    A file that becomes unreadable does not stop a server: the keys that were read last stay, and the log says why.
    """

    def __init__(self, path: Path, more: tuple[SigningKey, ...] = ()) -> None:
        """
        Args:
            more: keys that count besides those of the file, as the secret of earlier tokens.

        Raises:
            SigningKeysWrong: the file is missing, or is no file of keys.
            SigningKeysExposed: others may read it.
        """
        self._path = path
        self._more = more
        self._lock = threading.Lock()
        self._keys, self._mark = self._read()
        self._looked = time.monotonic()

    def keys(self) -> SigningKeys:
        """Return the keys; the file is read again within a second after it changed."""
        if time.monotonic() - self._looked >= _LOOK_EVERY and self._lock.acquire(blocking=False):
            try:
                self._look()
                self._looked = time.monotonic()
            finally:
                self._lock.release()
        return self._keys

    def _look(self) -> None:
        try:
            mark = _mark(self._path.stat())
        except OSError as error:
            mark = (0, 0, 0, error.errno or 0)
        if mark == self._mark:
            return
        try:
            self._keys, self._mark = self._read()
            _log.info("the signing keys were read again")
        except (SigningKeysWrong, SigningKeysExposed) as error:
            self._mark = mark
            _log.error("the signing keys stay as they were: %s", error.message)

    def _read(self) -> tuple[SigningKeys, _Mark]:
        found, mark = _read_file(self._path)
        return SigningKeys((*found.keys, *self._more)), mark


def create_keys(path: Path, *, algorithm: str = "ES256", now: float | None = None) -> SigningKeys:
    """Create the file with one new key, readable by this user alone; it signs at once.

    Raises:
        SigningKeysWrong: the file exists or cannot be written.
    """
    made = SigningKeys((replace(new_key(algorithm), signs_from=_now(now)),))
    temporary = _write_beside(path, made)
    try:
        _name_if_free(temporary, path)
    except FileExistsError:
        raise SigningKeysWrong(
            f"{path} exists. No key was made.", hint="Name a file that does not exist yet."
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    return made


def _name_if_free(temporary: Path, path: Path) -> None:
    """Give a file its name, unless the name is in use; replace() would overwrite keys."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: not atomic, but as exclusive.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(temporary.read_bytes())


def rotate(
    path: Path,
    *,
    algorithm: str | None = None,
    longest_token: float = 3600,
    leaked: bool = False,
    now: float | None = None,
) -> SigningKeys:
    """Give the file a new key. It is published at once, signs after the time for which others keep the JWKS, and the key before it
    verifies until its last token is over: no request fails.

    Args:
        algorithm: of the new key; None: that of the current one.
        longest_token: lifetime of an access token in seconds.
        leaked: the new key signs at once, and all tokens of earlier keys are refused.

    Raises:
        SigningKeysWrong: the file is missing, or cannot be read or written.
        SigningKeysExposed: others may read it, and `leaked` is false.
        RotationPending: the new key of an earlier rotation does not sign yet, and `leaked` is false.
    """
    at = _now(now)

    def change(found: SigningKeys) -> SigningKeys:
        new = new_key(algorithm or found.current(at).algorithm)
        return found.replaced(new, at) if leaked else found.rotated(new, at, longest_token=longest_token)

    return _changed(path, change, exposed_too=leaked)


def note_token(path: Path, kid: str, until: float) -> SigningKeys:
    """Note that a key of the file signed a token that lives longer than access tokens; rotation keeps the key until then.

    Args:
        until: the token's expiry in seconds since the epoch.

    Raises:
        SigningKeysWrong
        SigningKeysExposed
    """
    return _changed(path, lambda found: found.with_token(kid, until))


def _changed(path: Path, change: Callable[[SigningKeys], SigningKeys], *, exposed_too: bool = False) -> SigningKeys:
    # Secrets are often mounted as links: the file is replaced, not the link.
    path = path.resolve()
    with _locked(path):
        found, _ = _read_file(path, exposed_too=exposed_too)
        after = change(found)
        temporary = _write_beside(path, after)
        try:
            _same_access(temporary, path.stat(), exposed=exposed_too)
            temporary.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from None
        finally:
            temporary.unlink(missing_ok=True)
    return after


def _same_access(temporary: Path, before: os.stat_result, *, exposed: bool) -> None:
    """Give the new file to the account, and group, of the one before: who reads it now must be able to read it then.

    Raises:
        PermissionError: it belongs to another account, and this is not root.
    """
    try:
        os.chown(temporary, before.st_uid, before.st_gid)
    except PermissionError:
        if before.st_uid != os.geteuid():
            raise
    if before.st_uid == 0 and not exposed:
        temporary.chmod(stat.S_IMODE(before.st_mode) & 0o640)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time: a lock on the folder, since the file itself is replaced."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _read_file(path: Path, *, exposed_too: bool = False) -> tuple[SigningKeys, _Mark]:
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if not exposed_too:
                _need_closed(path, state)
            text = file.read()
    except OSError as error:
        raise SigningKeysWrong(f"{path}, the file of signing keys, cannot be read: {error.strerror}.") from None
    try:
        # The parser's message quotes nothing, but the text of an error in a number could.
        loaded = json.loads(text)
    except ValueError:
        raise SigningKeysWrong(f"{path} is no file of signing keys: it is not JSON.") from None
    if not isinstance(loaded, dict) or loaded.get(_FORMAT) != _VERSION or not isinstance(loaded.get("keys"), list):
        raise SigningKeysWrong(f"{path} is no file of signing keys that this version can read.")
    found = tuple(_from_json(each, f"Key {number} of {path}") for number, each in enumerate(loaded["keys"], 1))
    if not found or len({each.kid for each in found}) < len(found):
        raise SigningKeysWrong(f"{path} has no key, or two of the same kid.")
    return SigningKeys(found), _mark(state)


def _need_closed(path: Path, state: os.stat_result) -> None:
    # As PostgreSQL has it for its own key: 0640 is fine where the file is root's and a group reads it.
    open_to_others = stat.S_IMODE(state.st_mode) & (0o027 if state.st_uid == 0 else 0o077)
    if open_to_others:
        raise SigningKeysExposed(
            f"{path}, the file of signing keys, has the mode {stat.S_IMODE(state.st_mode):04o}: others may read or write it.",
            hint=f"Run `chmod 600 {path}`. If others may have read it, run `tenantry auth keys rotate --leaked`.",
        )


def _from_json(given: object, where: str) -> SigningKey:
    if not isinstance(given, dict):
        raise SigningKeysWrong(f"{where} is not a JSON object.")
    found = read_jwk(given.get("jwk"), where)
    if not found.key.is_private or found.symmetric:
        raise SigningKeysWrong(f"{where} has no private part.", hint="Keys of the file are for ES256 or RS256.")
    times = [given.get("signs_from", 0), given.get("verifies_until"), given.get("tokens_until", 0)]
    if any(not isinstance(each, int | float) or isinstance(each, bool) for each in times if each is not None):
        raise SigningKeysWrong(f"{where} has a time that is no number.")
    begins, ends, tokens = times
    return replace(
        found,
        signs_from=float(begins or 0),
        verifies_until=None if ends is None else float(ends),
        tokens_until=float(tokens or 0),
    )


def _to_json(each: SigningKey) -> dict[str, Any]:
    private = {**each.key.as_dict(private=True), "kid": each.kid, "alg": each.algorithm, "use": "sig"}
    return {
        "jwk": private,
        "signs_from": each.signs_from,
        "verifies_until": each.verifies_until,
        "tokens_until": each.tokens_until,
    }


def _write_beside(path: Path, keys: SigningKeys) -> Path:
    """Write the keys to a new file in the same folder, with mode 600 from its beginning and on the disk at its end."""
    text = json.dumps({_FORMAT: _VERSION, "keys": [_to_json(each) for each in keys.keys]}, indent=1)
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from None
    return Path(name)


def _unwritable(path: Path, error: OSError) -> SigningKeysWrong:
    return SigningKeysWrong(
        f"{path}, the file of signing keys, cannot be written: {error.strerror}.",
        hint="Check the folder and its rights.",
    )


def _mark(state: os.stat_result) -> _Mark:
    return state.st_mtime_ns, state.st_size, state.st_ino, stat.S_IMODE(state.st_mode)


def _now(given: float | None) -> float:
    return time.time() if given is None else given
