"""Legacy ids: the old id of a row, with the prefix of the part that it came from where several parts feed one table.

All functions return SQL. `key` and `legacy` are SQL expressions; a target row has the alias that is given.
"""

from __future__ import annotations

from tenantry.mapping.project import Mapping
from tenantry.postgres import literal


def legacy_of(mapping: Mapping, key: str) -> str:
    """The legacy id of a row by its source key."""
    return f"{literal(mapping.legacy_prefix)} || {key}" if mapping.legacy_prefix else key


def source_key(mapping: Mapping, alias: str = "t") -> str:
    """The source key of a target row that is known to come from the mapping."""
    prefix = len(mapping.legacy_prefix)
    return f"substr({alias}.legacy_id, {prefix + 1})" if prefix else f"{alias}.legacy_id"


def key_of(mapping: Mapping, legacy: str) -> str:
    """The source key in a legacy id; null where it is that of another part."""
    if not mapping.legacy_prefix:
        return legacy
    return f"case when {of_part(mapping, legacy)} then substr({legacy}, {len(mapping.legacy_prefix) + 1}) end"


def of_part(mapping: Mapping, legacy: str) -> str:
    """A condition that a legacy id has the prefix of the mapping's part; for a mapping that has one."""
    return f"left({legacy}, {len(mapping.legacy_prefix)}) = {literal(mapping.legacy_prefix)}"


def from_part(mapping: Mapping, word: str, alias: str = "t") -> str:
    """A condition behind `word` (` where`, ` and`) that a target row comes from the mapping's part; empty where all rows do."""
    return f"{word} {of_part(mapping, f'{alias}.legacy_id')}" if mapping.legacy_prefix else ""
