"""Row ids as a pure function of (namespace, table, old id): the same in SQL, in Python, in any language.

A value that is its own canonical uuid text (lower case, hyphens, no braces) is kept. Any other becomes a version 8 UUID
(RFC 9562, section 5.8) made of the first 16 bytes of SHA-256 over `<namespace> U+001F <table> U+001F <old id>` in UTF-8:
the version nibble is set to 8, and the variant nibble to 8 (its two free bits are zero). docs/reference/ids.md has the
layout and test vectors.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Sequence

from tenantry.postgres import ident, literal

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SEPARATOR = "\x1f"


def derive_id(namespace: str, table: str, old: str) -> uuid.UUID:
    """The new id of a row, without a database. `table` is the mapping's namespace: the source table, or table/part."""
    if _CANONICAL.fullmatch(old):
        return uuid.UUID(old)
    digest = hashlib.sha256(SEPARATOR.join((namespace, table, old)).encode()).hexdigest()[:32]
    return uuid.UUID(digest[:12] + "8" + digest[13:16] + "8" + digest[17:])


def id_sql(namespace: str, table: str, old: str) -> str:
    """The same as SQL over an expression of type text: one digest, two overlays."""
    prefix = f"E'{_escaped(namespace)}\\x1f{_escaped(table)}\\x1f'"
    hexadecimal = f"encode(sha256(convert_to({prefix} || {old}, 'UTF8')), 'hex')"
    made = f"overlay(overlay(left({hexadecimal}, 32) placing '8' from 13) placing '8' from 17)::uuid"
    kept = f"length({old}) = 36 and {old} ~ '^{_CANONICAL.pattern}$'"
    return f"case when {kept} then {old}::uuid else {made} end"


def key_sql(alias: str, key: Sequence[str], *, is_text: bool) -> str:
    """A row's key as one text: the value itself, or for several columns a JSON array of their texts."""
    if len(key) == 1:
        column = f"{alias}.{ident(key[0])}"
        return column if is_text else f"{column}::text"
    return "jsonb_build_array(" + ", ".join(f"{alias}.{ident(name)}::text" for name in key) + ")::text"


def key_parts(key: Sequence[str], text: str) -> list[str]:
    """The inverse of key_sql: the columns' texts."""
    if len(key) == 1:
        return [text]
    return [str(part) for part in json.loads(text)]


def key_condition(alias: str, key: Sequence[str], types: Sequence[str], text: str) -> str:
    """A condition that finds a row by its key's text, by index."""
    return " and ".join(
        f"{alias}.{ident(name)} = {literal(part)}::{kind}"
        for name, kind, part in zip(key, types, key_parts(key, text), strict=True)
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")
