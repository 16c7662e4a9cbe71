"""Column rules as SQL: each target column's value, and the conditions under which it is missing, invalid or noted."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pglast
from pglast import ast
from pglast.parser import ParseError
from pglast.visitors import Visitor

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.errors import nearest
from tenantry.manifest import transforms
from tenantry.manifest.load import Key
from tenantry.manifest.mapping import Column, JsonIds, Reference
from tenantry.manifest.model import ColumnRule, Correct, Default, Manifest, Treatment
from tenantry.postgres import ident, literal, literals

Say = Callable[[Key, str], None]
Scopes = Mapping[str, Table]


class _Columns(Visitor):  # type: ignore[misc]  # pglast has no types
    """The column references of an expression, and whether it holds a sub-select (whose names are not ours to judge)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self.has_select = False

    def visit_ColumnRef(self, _ancestors: object, node: ast.ColumnRef) -> None:
        if all(isinstance(field, ast.String) for field in node.fields):
            self.found.append(tuple(field.sval for field in node.fields))

    def visit_SubLink(self, _ancestors: object, _node: ast.SubLink) -> None:
        self.has_select = True


class Expressions:
    """Checks SQL that people wrote, with PostgreSQL's own grammar, before any server sees it."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def check(self, sql: str, scopes: Scopes, key: Key) -> bool:
        """Whether `sql` is one expression over known columns; says what is wrong where it is not."""
        return self._check(f"select {sql}", sql, scopes, key)

    def check_order(self, sql: str, scopes: Scopes, key: Key) -> bool:
        """The same for what stands behind ORDER BY."""
        return self._check(f"select 1 order by {sql}", sql, scopes, key)

    def _check(self, statement: str, sql: str, scopes: Scopes, key: Key) -> bool:
        try:
            parsed = pglast.parse_sql(statement)
        except ParseError as error:
            self._say(key, f"{sql!r} is no SQL expression: {error.args[0]}")
            return False
        select = parsed[0].stmt
        if len(parsed) != 1 or not isinstance(select, ast.SelectStmt) or len(select.targetList or ()) != 1:
            self._say(key, f"{sql!r} must be one SQL expression")
            return False
        if select.fromClause or select.whereClause or select.intoClause:
            self._say(key, f"{sql!r} must be one SQL expression, without FROM or WHERE of its own")
            return False
        names = _Columns()
        names(parsed[0])
        return all([self._known(name, sql, scopes, key) for name in names.found]) if not names.has_select else True

    def _known(self, name: tuple[str, ...], sql: str, scopes: Scopes, key: Key) -> bool:
        scope, column = ("", name[0]) if len(name) == 1 else (name[-2], name[-1])
        if scope not in scopes:
            if scope:
                known = [alias for alias in scopes if alias]
                self._say(key, f"{sql!r} names {'.'.join(name)}, but only {', '.join(known)} can be named here")
            else:
                self._say(key, f"{sql!r} names {column}; write s.{column} for the source row's column")
            return False
        table = scopes[scope]
        if table.column(column) is None:
            near = nearest(column, [each.name for each in table.columns])
            hint = f"; did you mean {near!r}?" if near else ""
            self._say(key, f"{sql!r} names {'.'.join(name)}, but {table.name} has no column {column!r}{hint}")
            return False
        return True


@dataclass(frozen=True, slots=True)
class ColumnCompiler:
    """Makes columns of one mapping."""

    manifest: Manifest
    source: Table
    target: Table
    root: Table | None
    labels: Mapping[tuple[str, str], tuple[str, ...]]
    references: Mapping[tuple[str, ...], Reference]
    namespace: str
    server_version: int
    expressions: Expressions
    say: Say
    parents: Callable[[str], Table | None]

    def column(self, target: CatalogColumn, rule: ColumnRule, *, given: bool, key: Key) -> Column | None:
        """The column, or None where it is left to its default (or a problem was said)."""
        if rule.up is not None:
            return self._expression(target, rule, key)
        name = rule.source or target.name
        source = self.source.column(name)
        if source is None:
            if given or not (target.nullable or target.default or target.identity):
                near = nearest(name, [column.name for column in self.source.columns])
                hint = f"; did you mean {near!r}?" if near else ""
                why = "" if given else f" {self.target.name}.{target.name} is NOT NULL without a default;"
                self.say((*key, "from") if rule.source else key, f"{self.source.name} has no column {name!r}{hint}.{why}"
                         ' say where it comes from: from = "…", or up = "<SQL>"')  # fmt: skip
            return None
        raw = f"s.{ident(name)}"
        if rule.python is not None:
            return Column(
                target.name, target.type, target.nullable, "python", name, f"py.{ident(target.name)}",
                present=f"{raw} is not null", missing=None if target.nullable else f"{raw} is null", python=rule.python,
            )  # fmt: skip
        if rule.transform == "json_ids":
            return Column(
                target.name, target.type, target.nullable, "json_ids", name, raw,
                missing=None if target.nullable else f"{raw} is null",
                ids=tuple(self._json_ids(rule, key)), drop_stale=rule.stale == "drop",
            )  # fmt: skip
        made = self._transformed(raw, source, target, rule, key)
        return None if made is None else self._treated(made, raw, source, target, rule, key)

    # -- private -----------------------------------------------------------------------------------------------------

    def _scopes(self) -> Scopes:
        scopes = {"s": self.source}
        if self.root is not None:
            scopes["tenant"] = self.root
        return scopes

    def _expression(self, target: CatalogColumn, rule: ColumnRule, key: Key) -> Column | None:
        assert rule.up is not None
        if not self.expressions.check(rule.up, self._scopes(), (*key, "up")):
            return None
        if rule.down is not None:
            self.expressions.check(rule.down, {"t": self.target}, (*key, "down"))
        value = f"({rule.up})::{target.type}"
        missing = None if target.nullable else f"({rule.up}) is null"
        return Column(target.name, target.type, target.nullable, "value", rule.source, value, missing=missing, down=rule.down,
                      zoned="tenant." in rule.up)  # fmt: skip

    def _json_ids(self, rule: ColumnRule, key: Key) -> Iterator[JsonIds]:
        for path, parent in (rule.ids or {}).items():
            if self.parents(parent) is None:
                known = list(self.manifest.tables)
                near = nearest(parent, known)
                self.say(
                    (*key, "ids", path),
                    f"{parent!r} is no target table with a source" + (f"; did you mean {near!r}?" if near else ""),
                )
                continue
            yield JsonIds(path, parent)

    def _transformed(
        self, raw: str, source: CatalogColumn, target: CatalogColumn, rule: ColumnRule, key: Key
    ) -> str | None:
        """The value for a raw value that is neither null nor counted as empty; null where that is invalid."""
        to = target.type
        if rule.map is not None:
            return self._mapped(raw, target, rule, key)
        zone = self._zone(rule, key)
        transform = rule.transform
        if transform in ("number", "money", "percent", "integer", "boolean", "email", "trim") and not transforms.is_text(
            source
        ):
            self.say((*key, "as"), f"{transform!r} reads text, but {self.source.name}.{source.name} is {source.type}")
            return None
        if transform in ("utc", "local_time", "local_day") and not source.type.startswith(("timestamp", "date")):
            self.say((*key, "as"), f"{transform!r} reads a date or timestamp, but {source.name} is {source.type}")
            return None
        match transform:
            case "number":
                return transforms.number(raw, to)
            case "money":
                return transforms.number(raw, to, percent=False)
            case "percent":
                return transforms.number(raw, to, currency=False)
            case "integer":
                return transforms.integer(raw, to)
            case "boolean":
                return transforms.boolean(raw)
            case "email":
                return transforms.email(raw, to)
            case "trim":
                return f"{transforms.trimmed(raw)}::{to}"
            case "utc":
                return transforms.utc(raw, source, to)
            case "local_time":
                return transforms.local_time(raw, zone, to)
            case "local_day":
                return transforms.local_day(raw, source, zone, to)
        if transforms.loses(source, target):
            self.say(
                key,
                f"{self.source.name}.{source.name} is {source.type} and {target.name} is {to}: a cast would drop part of"
                ' the value; say what it means with as = "local_day" or up = "<SQL>"',
            )
            return None
        labels = self.labels.get((target.type_schema, target.type_name), ())
        return transforms.cast(raw, source, target, labels, self.server_version)

    def _mapped(self, raw: str, target: CatalogColumn, rule: ColumnRule, key: Key) -> str:
        assert rule.map is not None
        labels = self.labels.get((target.type_schema, target.type_name))
        for given, value in rule.map.items():
            if labels is not None and str(value) not in labels:
                near = nearest(str(value), labels)
                self.say(
                    (*key, "map", given),
                    f"{value!r} is no value of {target.type}" + (f"; did you mean {near!r}?" if near else ""),
                )
        whens = " ".join(f"when {literal(given)} then {literal(value)}" for given, value in rule.map.items())
        return f"(case {raw}::text {whens} end)::{target.type}"

    def _zone(self, rule: ColumnRule, key: Key) -> str:
        zone = rule.zone
        if zone is None:
            return "'UTC'"
        if zone.startswith("tenant."):
            column = zone.removeprefix("tenant.")
            if self.root is not None and self.root.column(column) is None:
                near = nearest(column, [each.name for each in self.root.columns])
                self.say(
                    (*key, "zone"),
                    f"{self.root.name} has no column {column!r}" + (f"; did you mean {near!r}?" if near else ""),
                )
            return f"tenant.{ident(column)}"
        if zone not in zoneinfo.available_timezones():
            near = nearest(zone, sorted(zoneinfo.available_timezones()))
            self.say((*key, "zone"), f"{zone!r} is no time zone" + (f"; did you mean {near!r}?" if near else ""))
        return literal(zone)

    def _treated(
        self, made: str, raw: str, source: CatalogColumn, target: CatalogColumn, rule: ColumnRule, key: Key
    ) -> Column:
        """Put what null, empty and invalid mean around a transformed value."""
        text_source = transforms.is_text(source)
        plain_text = text_source and transforms.base_type(target.type) in ("text", "character varying", "character")
        reads = rule.transform is not None or rule.map is not None or not plain_text
        sees_empty = text_source and (rule.empty is not None or bool(rule.missing) or reads)
        default: Treatment = "carry" if target.nullable else "quarantine"
        null = rule.null or default
        empty = rule.empty or null
        invalid = rule.invalid or "quarantine"
        for name, treatment in (("null", rule.null), ("empty", rule.empty), ("invalid", rule.invalid)):
            if treatment == "carry" and not target.nullable and not (name == "empty" and plain_text and not reads):
                self.say(
                    (*key, name),
                    f'{self.target.name}.{target.name} is NOT NULL: {name} = "carry" cannot be; use "quarantine",'
                    " { default = … } or { correct = … }",
                )
            if isinstance(treatment, Correct):
                self.expressions.check(treatment.correct, self._scopes(), (*key, name, "correct"))

        words = literals(["", *rule.missing])
        is_empty = f"{transforms.trimmed(raw)} in ({words})" if sees_empty else None
        never_null = not source.nullable
        cases, missing, noted = [], [], []
        if null != "carry" and not never_null:
            cases.append(f"when {raw} is null then {self._put(null, target)}")
            if null == "quarantine":
                missing.append(f"{raw} is null")
            else:
                noted.append(f"{raw} is null")
        if is_empty is not None and not (empty == "carry" and plain_text and not reads):
            cases.append(f"when {is_empty} then {self._put(empty, target)}")
            if empty == "quarantine":
                missing.append(is_empty)
            elif empty != "carry":
                noted.append(is_empty)
        can_fail = "case " in made
        value = f"case {' '.join(cases)} else {made} end" if cases else made
        present = None
        if can_fail:
            present = f"{raw} is not null" + (f" and {is_empty} is not true" if is_empty else "")
        said = "defaulted" if noted else ""
        if rule.transform in ("email", "trim"):
            normal = f"lower({transforms.trimmed(raw)})" if rule.transform == "email" else transforms.trimmed(raw)
            noted.append(f"{raw} <> {normal}")
            said = "normalised"
        return Column(
            target.name,
            target.type,
            target.nullable,
            "value",
            source.name,
            value,
            present=present,
            fallback=None if invalid == "quarantine" else self._put(invalid, target),
            missing=" or ".join(missing) or None,
            noted=" or ".join(noted) or None,
            rule=said,
            zoned=rule.zone is not None and rule.zone.startswith("tenant."),
        )

    def _put(self, treatment: Treatment, target: CatalogColumn) -> str:
        if isinstance(treatment, Default):
            return f"{literal(treatment.default)}::{target.type}"
        if isinstance(treatment, Correct):
            return f"({treatment.correct})::{target.type}"
        return f"null::{target.type}"
