"""Row ids as a pure function of (namespace, table, old id), equal in SQL, in Python and in any other language.

A value that is canonical uuid text (lower case, hyphens, no braces) is kept. Any other becomes a version 8 UUID (RFC 9562,
section 5.8): the first 16 bytes of SHA-256 over `<namespace> U+001F <table> U+001F <old id>` in UTF-8, with the 7th and the
9th byte set to 0x80. These two bytes hold version 8, variant 10 and otherwise zeros, so 112 bits of the hash remain.
docs/reference/ids.md has the layout and test vectors.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Sequence

from tenantry.manifest.model import Manifest
from tenantry.mapping.project import Mapping
from tenantry.postgres import ident, literal

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SEPARATOR = "\x1f"


def derive_id(namespace: str, table: str, old: str) -> uuid.UUID:
    """Compute the new id of a row without a database. `table` is the mapping's namespace: the source table, or table/part."""
    if _CANONICAL.fullmatch(old):
        return uuid.UUID(old)
    made = bytearray(hashlib.sha256(SEPARATOR.join((namespace, table, old)).encode()).digest()[:16])
    made[6] = made[8] = 0x80
    return uuid.UUID(bytes=bytes(made))


def constant_tenant(manifest: Manifest) -> str | None:
    """Return the id of the one tenant that owns all source rows; None if rows have tenants of their own.

    It depends on `[ids] namespace` and the tenant table alone, so that the tenant can get another name.
    """
    if manifest.tenant.constant is None:
        return None
    stated = manifest.tenant.constant.get("id")
    return str(stated or derive_id(manifest.ids.namespace, manifest.tenant.table, "constant"))


def constant_tenant_sql(manifest: Manifest) -> str:
    """Return the same as a SQL literal, for a manifest with a constant tenant."""
    return f"{literal(constant_tenant(manifest) or '')}::uuid"


def id_sql(namespace: str, table: str, old: str) -> str:
    """Return the same as SQL over an expression of type text. It uses one digest and two overlays of whole bytes: 1.2 µs a
    value, where overlays of hex digits take 2.5 µs."""
    prefix = f"E'{_escaped(namespace)}\\x1f{_escaped(table)}\\x1f'"
    first = f"substr(sha256(convert_to({prefix} || {old}, 'UTF8')), 1, 16)"
    byte = r"'\x80'::bytea"
    made = f"encode(overlay(overlay({first} placing {byte} from 7) placing {byte} from 9), 'hex')::uuid"
    kept = f"length({old}) = 36 and {old} ~ '^{_CANONICAL.pattern}$'"
    return f"case when {kept} then {old}::uuid else {made} end"


def new_id_sql(manifest: Manifest, mapping: Mapping, old: str) -> str:
    """Return SQL of the new id of a mapping's row, over its old id as text: derived, or the same in its own type."""
    if mapping.keeps_ids:
        return old if mapping.id_type == "text" else f"({old})::{mapping.id_type}"
    return id_sql(manifest.ids.namespace, mapping.namespace, old)


def key_sql(alias: str, key: Sequence[str], *, is_text: bool) -> str:
    """Return a row's key as one text: the value itself or, for several columns, a JSON array of their texts."""
    if len(key) == 1:
        column = f"{alias}.{ident(key[0])}"
        return column if is_text else f"{column}::text"
    return "jsonb_build_array(" + ", ".join(f"{alias}.{ident(name)}::text" for name in key) + ")::text"


def key_parts(key: Sequence[str], text: str) -> list[str]:
    """Invert key_sql: return the columns' texts."""
    if len(key) == 1:
        return [text]
    return [str(part) for part in json.loads(text)]


def key_condition(alias: str, key: Sequence[str], types: Sequence[str], text: str) -> str:
    """Return a condition that finds a row by its key's text, using the index."""
    return " and ".join(
        f"{alias}.{ident(name)} = {literal(part)}::{kind}"
        for name, kind, part in zip(key, types, key_parts(key, text), strict=True)
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")
