"""Legacy ids: the old id of a row, prefixed with its part if several parts feed one table.

All functions return SQL. `key` and `legacy` are SQL expressions; `alias` is that of the target row.
"""

from __future__ import annotations

from tenantry.mapping.project import Mapping
from tenantry.postgres import literal


def legacy_of(mapping: Mapping, key: str) -> str:
    """Return the legacy id of a row, given its source key."""
    return f"{literal(mapping.legacy_prefix)} || {key}" if mapping.legacy_prefix else key


def source_key(mapping: Mapping, alias: str = "t") -> str:
    """Return the source key of a target row that is known to come from the mapping."""
    prefix = len(mapping.legacy_prefix)
    return f"substr({alias}.legacy_id, {prefix + 1})" if prefix else f"{alias}.legacy_id"


def key_of(mapping: Mapping, legacy: str) -> str:
    """Return the source key in a legacy id; null if the id belongs to another part."""
    if not mapping.legacy_prefix:
        return legacy
    return f"case when {of_part(mapping, legacy)} then substr({legacy}, {len(mapping.legacy_prefix) + 1}) end"


def of_part(mapping: Mapping, legacy: str) -> str:
    """Return a condition that a legacy id has the prefix of the mapping's part; for mappings that have one."""
    return f"left({legacy}, {len(mapping.legacy_prefix)}) = {literal(mapping.legacy_prefix)}"


def from_part(mapping: Mapping, word: str, alias: str = "t") -> str:
    """Return a condition, after `word` (` where`, ` and`), that a target row comes from the mapping's part; empty if all rows
    do."""
    return f"{word} {of_part(mapping, f'{alias}.legacy_id')}" if mapping.legacy_prefix else ""
