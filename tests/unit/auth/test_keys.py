"""Signing keys: files of mode 600, the environment of Supabase Auth, and rotation without a failing request."""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from tenantry.auth.errors import RotationPending, SigningKeysExposed, SigningKeysWrong
from tenantry.auth.keys import (
    KEYS_FILE,
    SigningKey,
    SigningKeys,
    create_keys,
    load_keys,
    new_key,
    note_token,
    rotate,
    secret_key,
)
from tenantry.auth.keys.file import KeyFile

SECRET = "an invented secret of more than 32 bytes"
NOW = 1_900_000_000.0


def sign(key: SigningKey, **claims: Any) -> str:
    header = {"alg": key.algorithm, **({"kid": key.kid} if key.kid else {})}
    return jwt.encode(header, claims, key.key, algorithms=[key.algorithm])


def accepted(token: str, document: dict[str, list[dict[str, Any]]]) -> bool:
    """Whether an application that has this JWKS accepts the token."""
    try:
        jwt.decode(
            token,
            jwk.KeySet([jwk.import_key(each) for each in document["keys"]]),
            algorithms=["ES256", "RS256"],
        )
    except (JoseError, ValueError):
        return False
    return True


def look_now(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> SigningKeys:
    monkeypatch.setattr("tenantry.auth.keys.file._LOOK_EVERY", -1.0)
    return file.keys()


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_the_jwks_verifies_what_the_current_key_signs_and_has_no_private_part(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "keys.json"
    made = create_keys(path, algorithm=algorithm, now=NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    source = load_keys(path, {"GOTRUE_JWT_SECRET": SECRET})
    current, document = source.keys().current(NOW), source.keys().public_jwks(NOW)
    assert accepted(sign(current, sub="a"), document)
    (shown,) = document["keys"]
    assert shown.keys() <= {"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops", "ext"}
    assert (shown["kid"], shown["alg"], shown["key_ops"]) == (current.kid, algorithm, ["verify"])
    # The secret verifies, and is not published; nothing shows values.
    assert [each.algorithm for each in source.keys().verification_keys(NOW)] == [algorithm, "HS256"]
    private = json.loads(path.read_text())["keys"][0]["jwk"]["d"]
    assert private not in repr(made) + str(made.keys[0]) + json.dumps(document)
    assert SECRET not in repr(source.keys())


def test_no_request_fails_while_a_key_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_keys(path, now=NOW)
    first = load_keys(path, {}).keys().current(NOW)
    old_document = load_keys(path, {}).keys().public_jwks(NOW)
    keys = rotate(path, longest_token=3600, now=NOW)
    # Whoever keeps the document for 600 seconds knows every key that signs, and sees every key whose tokens still live.
    for age in range(0, 6000, 50):
        now = NOW + age
        token = sign(keys.current(now), sub="a")
        seen_at = NOW + max(0, age - 600)
        assert accepted(token, keys.public_jwks(seen_at) if age >= 600 else old_document), age
        last_token_of_first = sign(first, sub="a")
        assert accepted(last_token_of_first, keys.public_jwks(now)) == (age < 600 + 60 + 3600 + 60)
    assert keys.current(NOW + 659) == keys.keys[1]
    assert keys.current(NOW + 660).kid == keys.keys[0].kid != first.kid
    with pytest.raises(RotationPending, match="signs in 60 seconds"):
        rotate(path, now=NOW + 600)
    # The next rotation drops the first key, whose tokens are over.
    assert [each.kid for each in rotate(path, now=NOW + 9000).keys][1:] == [keys.keys[0].kid]


def test_a_long_token_keeps_its_key_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = create_keys(path, now=NOW).current(NOW)
    year = NOW + 365 * 86400
    note_token(path, first.kid, year)
    rotate(path, now=NOW)
    keys = rotate(path, now=NOW + 100_000)
    assert first.kid in [each.kid for each in keys.verification_keys(year)]
    assert first.kid not in [each.kid for each in keys.verification_keys(year + 61)]


def test_after_a_leak_only_the_new_key_counts(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = create_keys(path, now=NOW).current(NOW)
    rotate(path, now=NOW)
    path.chmod(0o644)
    keys = rotate(path, leaked=True, algorithm="RS256", now=NOW + 1)
    assert [each.algorithm for each in keys.verification_keys(NOW + 1)] == ["RS256"]
    assert not accepted(sign(first, sub="a"), keys.public_jwks(NOW + 1))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_running_server_sees_a_rotation_and_survives_a_broken_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    create_keys(path, now=NOW)
    source = KeyFile(path)
    before = source.keys()
    rotated = rotate(path, now=NOW)
    assert source.keys() is before  # the file is looked at once a second
    assert [each.kid for each in look_now(source, monkeypatch).keys] == [each.kid for each in rotated.keys]
    kept, text = source.keys(), path.read_text()

    def open_it() -> None:
        path.write_text(text)
        path.chmod(0o604)

    spoils: tuple[Callable[[], object], ...] = (
        lambda: path.write_text(text[:100]),
        lambda: path.write_text('{"tenantry_signing_keys": 1, "keys": [{"jwk": {"kty": "EC", "d": "private"}}]}'),
        open_it,
        path.unlink,
    )
    for spoil in spoils:
        caplog.clear()
        with caplog.at_level(logging.ERROR, "tenantry.auth.keys"):
            spoil()
            assert look_now(source, monkeypatch) is kept
            look_now(source, monkeypatch)
        assert len(caplog.messages) == 1, "said once, not with each request"
        assert caplog.messages[0].startswith("the signing keys stay as they were")
        assert "private" not in caplog.text.replace("private part", "")
    path.write_text(text)
    path.chmod(0o600)
    assert len(look_now(source, monkeypatch).keys) == 2


def test_writers_take_turns_and_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = create_keys(path, now=NOW).current(NOW)
    failures: list[Exception] = []

    def note(number: int) -> None:
        try:
            for each in range(10):
                note_token(path, first.kid, NOW + 1000 * number + each)
                KeyFile(path)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=note, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    assert KeyFile(path).keys().keys[0].tokens_until == NOW + 3009
    assert os.listdir(tmp_path) == ["keys.json"]  # noqa: PTH208 - hidden files count


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    create_keys(path)
    path.chmod(mode)
    if path.stat().st_uid == 0 and mode == 0o640:
        KeyFile(path)  # root's file, which one group reads
        return
    with pytest.raises(SigningKeysExposed, match=f"{mode:04o}"):
        KeyFile(path)


def test_a_rotation_keeps_who_reads_the_file_and_the_link_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = tmp_path / "keys.json", tmp_path / "link.json"
    create_keys(path)
    link.symlink_to(path)
    before = path.stat()
    rotate(link)
    assert link.is_symlink() and len(KeyFile(path).keys().keys) == 2
    assert (path.stat().st_uid, path.stat().st_mode) == (before.st_uid, before.st_mode)
    if before.st_uid == 0:
        # Root's file, which the server's group reads.
        os.chown(path, 0, 12345)
        path.chmod(0o640)
        note_token(path, KeyFile(path).keys().keys[0].kid, NOW)
        assert (path.stat().st_gid, path.stat().st_mode & 0o777) == (12345, 0o640)
    monkeypatch.setattr(os, "chown", deny)
    monkeypatch.setattr(os, "geteuid", lambda: before.st_uid + 1)
    text = path.read_bytes()
    with pytest.raises(SigningKeysWrong, match="cannot be written"):
        rotate(path, leaked=True)
    assert path.read_bytes() == text
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys.json", "link.json"]


def deny(*_arguments: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_creating_needs_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", deny)
    path = tmp_path / "keys.json"
    create_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600 and len(KeyFile(path).keys().keys) == 1
    with pytest.raises(SigningKeysWrong, match="exists"):
        create_keys(path)
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def test_creating_never_replaces_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_keys(path)
    before = path.read_bytes()
    with pytest.raises(SigningKeysWrong, match="exists"):
        create_keys(path)
    with pytest.raises(SigningKeysWrong, match="cannot be written"):
        create_keys(tmp_path / "missing" / "keys.json")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def jwk_of(key: SigningKey, *operations: str, private: bool = True, **more: object) -> dict[str, Any]:
    return {**key.key.as_dict(private=private), "kid": key.kid, "key_ops": list(operations), **more}


def test_keys_of_the_environment_are_those_of_supabase() -> None:
    signer, other = new_key(), new_key("RS256")
    listed = json.dumps([jwk_of(other, "verify", private=False), jwk_of(signer, "sign", "verify")])
    keys = load_keys(None, {"GOTRUE_JWT_KEYS": listed, "GOTRUE_JWT_SECRET": SECRET}).keys()
    assert keys.current(NOW).kid == signer.kid
    assert [each.algorithm for each in keys.verification_keys(NOW)] == ["RS256", "ES256", "HS256"]
    assert [each["kid"] for each in keys.public_jwks(NOW)["keys"]] == [other.kid, signer.kid]
    # A secret alone signs, without a kid, and the document is empty.
    alone = load_keys(None, {"JWT_SECRET": SECRET}).keys()
    assert (alone.current(NOW).algorithm, alone.current(NOW).kid) == ("HS256", "")
    assert alone.public_jwks(NOW) == {"keys": []}
    assert alone.standby(NOW) is None


def short_rsa() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(jwk.RSAKey.generate_key(1024).as_dict(private=True))


WRONG_LISTS = {
    "not JSON": "{",
    "no array": "{}",
    "empty": "[]",
    "no object": "[1]",
    "unknown type": '[{"kty": "XX"}]',
    "none": '[{"kty": "none"}]',
    "no point": '[{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}]',
    "another curve": json.dumps([jwk.ECKey.generate_key("P-384").as_dict(private=True)]),
    "short secret": '[{"kty": "oct", "k": "c2hvcnQ"}]',
    "key confusion": json.dumps([jwk_of(new_key(), "sign", alg="HS256")]),
    "encryption": json.dumps([jwk_of(new_key(), "sign", use="enc")]),
    "none signs": json.dumps([jwk_of(new_key(), "verify")]),
    "two sign": json.dumps([jwk_of(new_key(), "sign"), jwk_of(new_key(), "sign")]),
    "public signs": json.dumps([jwk_of(new_key(), "sign", private=False)]),
    "same kid": json.dumps([jwk_of(new_key(), "sign", kid="a"), jwk_of(new_key(), "verify", kid="a")]),
    "kid no text": json.dumps([jwk_of(new_key(), "sign", kid=1)]),
    "short RSA": json.dumps([short_rsa()]),
}


@pytest.mark.parametrize("case", WRONG_LISTS)
def test_wrong_keys_are_refused_and_not_quoted(case: str) -> None:
    with pytest.raises(SigningKeysWrong) as caught:
        load_keys(None, {"GOTRUE_JWT_KEYS": WRONG_LISTS[case]})
    secrets = [each["d"] for each in json.loads(WRONG_LISTS[case]) if "d" in each] if '"d"' in WRONG_LISTS[case] else []
    assert not any(len(each) > 8 and each in caught.value.message + caught.value.hint for each in secrets)


def test_keys_have_one_source(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_keys(path, now=NOW)
    with pytest.raises(SigningKeysWrong, match="two sources"):
        load_keys(path, {"GOTRUE_JWT_KEYS": "[]"})
    with pytest.raises(SigningKeysWrong, match="There are no signing keys"):
        load_keys(None, {})
    with pytest.raises(SigningKeysWrong, match="30 bytes"):
        load_keys(None, {"GOTRUE_JWT_SECRET": "x" * 30})
    assert load_keys(None, {KEYS_FILE: str(path)}).keys().current(NOW).algorithm == "ES256"
    with pytest.raises(SigningKeysWrong, match="No key is made"):
        new_key("none")


def test_a_secret_beside_other_keys_never_signs() -> None:
    keys = SigningKeys((secret_key(SECRET, signs=False),))
    with pytest.raises(SigningKeysWrong, match="No signing key signs"):
        keys.current(math.nextafter(math.inf, 0))
