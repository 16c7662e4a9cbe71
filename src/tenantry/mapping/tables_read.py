"""Finds the other tables that the manifest's expressions read. A change there must be followed, or earlier results become
stale.

A table that is migrated has a log of its changes, so rows that depend on it are derived again. A change of any other table
would go unnoticed, so an expression that reads one is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.catalog import Catalog
from tenantry.manifest.model import Correct, Manifest, SourceRule
from tenantry.manifest.positions import Key
from tenantry.mapping.expressions import Reads, Say, reads
from tenantry.mapping.project import Mapping, Project


def expressions_of(part: SourceRule, key: Key) -> Iterator[tuple[Key, str]]:
    """Yield the expressions that derive a source's rows, each with its position."""
    if part.where:
        yield (*key, "where"), part.where
    for name, rule in part.columns.items():
        place = (*key, "columns", name)
        if rule.up is not None:
            yield (*place, "up"), rule.up
        for word in ("null", "empty", "invalid", "orphan"):
            given = getattr(rule, word)
            if isinstance(given, Correct):
                yield (*place, word, "correct"), given.correct


def expressions_of_users(manifest: Manifest) -> Iterator[tuple[Key, str]]:
    """Yield the expressions that decide about accounts."""
    users = manifest.users
    for name in ("super", "verified", "deleted", "system", "metadata") if users is not None else ():
        sql = getattr(users, name)
        if sql:
            yield ("users", name), sql


class TablesRead:
    """Report tables whose changes cannot be followed."""

    def __init__(self, manifest: Manifest, source: Catalog, target: Catalog, say: Say) -> None:
        self._source, self._target, self._say = source, target, say
        self._carried = {part.source for rule in manifest.tables.values() for part in rule.parts().values()}

    def tables(self, sql: str, key: Key) -> tuple[str, ...]:
        """Return the source tables that an expression over a source row reads."""
        found = []
        for schema, name in reads(sql).tables:
            if schema in ("", self._source.schema) and name in self._carried:
                found.append(name)
                continue
            table = self._source.table(name) if schema in ("", self._source.schema) else None
            why = (
                "is not migrated, so its changes are not recorded"
                if table is not None
                else f"is not a table of schema {self._source.schema}, so that its changes cannot be followed"
            )
            self._say(
                key,
                f"{sql!r} reads {f'{schema}.{name}' if schema else name}, which {why}; keep what it says in a column of the"
                " row, or migrate that table as well",
            )
        return tuple(found)

    def none(self, sql: str, key: Key) -> None:
        """Check that an order that selects one of several rows reads only these rows."""
        for schema, name in reads(sql).tables:
            self._say(
                key,
                f"{sql!r} reads {f'{schema}.{name}' if schema else name}, whose changes would not be followed;"
                " order by columns of the rows alone",
            )

    def of_target(self, sql: str, key: Key) -> None:
        """Check expressions over the target, in reverse or as a rule: they may read the target and migrated source tables."""
        for schema, name in reads(sql).tables:
            known = (schema in ("", self._target.schema) and self._target.table(name) is not None) or (
                schema in ("", self._source.schema) and name in self._carried
            )
            if schema in ("", self._target.schema) and self._target.view(name) is not None:
                known = True
            if not known and schema not in ("pg_catalog", "information_schema"):
                self._say(
                    key,
                    f"{f'{schema}.{name}' if schema else name} is neither a table of schema {self._target.schema} nor one"
                    " that is migrated; its changes would not be followed",
                )


def unsteady(found: Reads, source: Catalog) -> list[str]:
    """Return, in words, what an expression uses whose result can change over time."""
    said = ["the time or the session"] if found.asks_for_time else []
    known = {function.name: function for function in source.functions}
    for name in found.functions:
        written = ".".join(name)
        if name[-1] in _BY_TIME_OR_CHANCE and name[:-1] in ((), ("pg_catalog",)):
            said.append(f"{written}()")
        elif name[-1] in known and name[:-1] in ((), (source.schema,)) and known[name[-1]].volatility != "immutable":
            said.append(f"{written}(), which is {known[name[-1]].volatility}")
        elif name[:-1] not in ((), ("pg_catalog",), (source.schema,)):
            said.append(f"{written}(), of another schema")
    return said


def unsteady_expressions(project: Project) -> Iterator[tuple[Mapping, str, str, str]]:
    """Return (mapping, column or where, expression, what it uses) for expressions that are not deterministic for the same
    rows."""
    for mapping in project:
        part = project.manifest.tables[mapping.target.name].parts()[mapping.legacy_prefix.removesuffix(":")]
        for key, sql in expressions_of(part, ()):
            for what in unsteady(reads(sql), project.source):
                yield mapping, str(key[1] if key[0] == "columns" else key[0]), sql, what


_BY_TIME_OR_CHANCE = frozenset({
    "now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "age", "random", "random_normal",
    "gen_random_uuid", "uuidv4", "uuidv7", "nextval", "currval", "lastval", "current_setting", "txid_current",
    "pg_current_xact_id", "pg_backend_pid",
})  # fmt: skip


__all__ = ["TablesRead", "expressions_of", "expressions_of_users", "unsteady", "unsteady_expressions"]
