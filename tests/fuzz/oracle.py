"""What each side must hold, worked out in Python from the rows of the other: by nothing of Tenantry's.

It knows the manifest's rules as the documentation states them: who gets which id and tenant, who is quarantined and for which
reasons, what a value becomes, and what goes back.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from tests.fuzz.kinds import Fate
from tests.fuzz.spec import Case, Ref, Row, Snapshot, Table

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def id_of(namespace: str, table: str, old: str) -> str:
    """docs/reference/ids.md: a canonical uuid is kept, anything else becomes a version 8 UUID of its SHA-256."""
    if _CANONICAL.fullmatch(old):
        return old
    made = bytearray(hashlib.sha256("\x1f".join((namespace, table, old)).encode()).digest()[:16])
    made[6] = made[8] = 0x80
    return str(uuid.UUID(bytes=bytes(made)))


Drawn = Mapping[tuple[str, str], str]
"""(source table, number) → legacy id, of rows that were made in the target and got a number of the source's own sequence."""


@dataclass
class Expected:
    """What becomes of the rows of one table."""

    rows: dict[str, Row] = field(default_factory=dict)
    """By old id."""
    quarantined: dict[str, set[str]] = field(default_factory=dict)
    """Key → each reason that holds."""


class Forward:
    """Source to target."""

    def __init__(self, case: Case, source: Snapshot, drawn: Drawn = MappingProxyType({})) -> None:
        self.case = case
        self.found = {
            table.name: {
                drawn.get((table.name, table.key_text(row)), table.key_text(row)): row
                for row in source.get(table.name, ())
            }
            for table in case.tables
        }
        self._by: dict[tuple[str, tuple[str, ...]], dict[tuple[str | None, ...], str]] = {}
        self.tenants: dict[str, dict[str, str | None]] = {}
        """The tenant's key of each row, by the first way that finds one, whatever else is wrong with it."""
        self._find_tenants()
        self.bad: dict[str, dict[str, set[str]]] = {table.name: {} for table in case.tables}
        self._judge()

    # -- rows --------------------------------------------------------------------------------------------------------

    def parent(self, ref: Ref, row: Row) -> str | None:
        """The key of the row that a reference names; None where it names none."""
        at = (ref.parent, ref.parent_columns)
        if at not in self._by:
            self._by[at] = {
                tuple(each[name] for name in ref.parent_columns): key for key, each in self.found[ref.parent].items()
            }
        return self._by[at].get(tuple(row[name] for name in ref.columns))

    @staticmethod
    def given(ref: Ref, row: Row) -> bool:
        return all(row[name] is not None for name in ref.columns)

    def _find_tenants(self) -> None:
        self.tenants[self.case.root] = {key: key for key in self.found[self.case.root]}
        for table in self.case.tables:  # parents of ways come first
            if table.ways:
                self.tenants[table.name] = {
                    key: next((each for each in self._tenants(table, row) if each is not None), None)
                    for key, row in self.found[table.name].items()
                }

    def _tenants(self, table: Table, row: Row) -> list[str | None]:
        made = []
        for ref in table.way_refs():
            parent = self.parent(ref, row) if self.given(ref, row) else None
            made.append(None if parent is None else self.tenants[ref.parent][parent])
        return made

    # -- judgement ---------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        for table in self.case.tables:
            for key, row in self.found[table.name].items():
                reasons = self._own_faults(table, key, row)
                if reasons:
                    self.bad[table.name][key] = reasons
        grown = True
        while grown:
            grown = False
            for table in self.case.tables:
                for key, row in self.found[table.name].items():
                    follows = any(
                        self.given(ref, row) and self.parent(ref, row) in self.bad[ref.parent] for ref in table.refs
                    )
                    if follows and "parent_quarantined" not in self.bad[table.name].get(key, ()):
                        self.bad[table.name].setdefault(key, set()).add("parent_quarantined")
                        grown = True

    def _own_faults(self, table: Table, key: str, row: Row) -> set[str]:
        reasons = set()
        for ref in table.refs:
            given = self.given(ref, row)
            parent = self.parent(ref, row) if given else None
            if given and parent is None and not (ref.orphan == "null" and ref.own not in table.ways):
                reasons.add("reference_missing")
            if ref.target is not None and not ref.nullable and parent is None:
                reasons.add("value_missing")
        if table.ways:
            tenant = self.tenants[table.name][key]
            if tenant is None:
                reasons.add("tenant_missing")
            named = {each for each in self._tenants(table, row) if each is not None}
            for ref in table.refs:
                parent = self.parent(ref, row) if self.given(ref, row) else None
                if parent is not None and ref.parent in self.tenants:
                    there = self.tenants[ref.parent][parent]
                    if there is not None:
                        named.add(there)
            if len(named) > 1:
                reasons.add("tenant_conflict")
        for column in table.columns:
            if column.target is None:
                continue
            made = column.kind.up(row[column.name])
            if made is Fate.INVALID:
                reasons.add("value_invalid")
            if made in column.kind.broken:
                reasons.add("rule_broken")
            if made is None and column.needed:
                reasons.add("value_missing")
        return reasons

    # -- the result --------------------------------------------------------------------------------------------------

    def expected(self) -> dict[str, Expected]:
        """By source table."""
        made = {}
        for table in self.case.tables:
            expected = Expected(quarantined=self.bad[table.name])
            for key, row in self.found[table.name].items():
                if key not in expected.quarantined:
                    expected.rows[key] = self.row(table, key, row)
            made[table.name] = expected
        return made

    def row(self, table: Table, key: str, row: Row) -> Row:
        case = self.case
        made: Row = {"id": id_of(case.namespace, table.name, key), "legacy_id": key}
        if table.ways:
            made[case.tenant] = id_of(case.namespace, case.root, str(self.tenants[table.name][key]))
        for ref in table.refs:
            if ref.target is not None:
                parent = self.parent(ref, row) if self.given(ref, row) else None
                made[ref.target] = None if parent is None else id_of(case.namespace, ref.parent, parent)
        for column in table.columns:
            if column.target is not None:
                value = column.kind.up(row[column.name])
                assert not isinstance(value, Fate)
                made[column.target] = value
        if table.name == case.people and case.users:
            made[case.account] = id_of(case.namespace, f"{table.name}/account", key)
        return made


@dataclass
class Back:
    """What the source must hold when the target's changes are carried back."""

    rows: dict[str, dict[str, Row]]
    stays: set[tuple[str, str, str]] = field(default_factory=set)
    """(target table, legacy id, target column) whose value has no way back."""
    either: set[tuple[str, str, str]] = field(default_factory=set)
    """(target table, legacy id, target column) that may go back or stay: what stood in the way went in the same round."""
    named: set[tuple[str, str, str]] = field(default_factory=set)
    """(target table, legacy id, target column) that goes back, and may be listed: the source names the row by a number that leads to
    another id."""
    unknown: set[tuple[str, str, str]] = field(default_factory=set)
    """(source table, key, column) of what the server gives."""
    only_target: set[tuple[str, str]] = field(default_factory=set)
    """(target table, legacy id) of rows that the source cannot have."""
    blocked: set[tuple[str, str]] = field(default_factory=set)
    """(source table, key) of rows that were deleted in the target and stay, since rows that stay refer to them."""


def back(
    case: Case,
    source: Snapshot,
    before: Mapping[str, Mapping[str, Row]],
    after: Mapping[str, Mapping[str, Row]],
    drawn: Drawn,
) -> Back:
    """The source after the way back.

    Args:
        source: its rows when the target was cut over.
        before, after: rows of the target by target table and legacy id, at the cut-over and now.
        drawn: the numbers that rows got, by which alone the server decides.
    """
    numbers = {(name, legacy): number for (name, number), legacy in drawn.items()}
    made = Back({table.name: {table.key_text(row): dict(row) for row in source[table.name]} for table in case.tables})
    keys = {
        (table.name, str(row["id"])): legacy for table in case.tables for legacy, row in after[table.target].items()
    }
    pending = [
        (table, legacy)
        for table in case.tables
        for legacy in after[table.target]
        if before[table.target].get(legacy) != after[table.target][legacy]
    ]
    for table, legacy in pending:
        if legacy not in before[table.target]:
            now = after[table.target][legacy]
            lacks = any(
                column.kind.down(now[column.target]) in (None, Fate.STAYS)
                for column in table.columns
                if column.target is not None and not column.nullable and not column.kind.server
            )
            if not lacks and (table.name, legacy) in numbers:
                made.rows[table.name][legacy] = dict.fromkeys(table.names(), None) | {
                    table.key[0]: numbers[table.name, legacy]
                }
                made.either.add((table.target, legacy, "id"))
            elif lacks or len(table.key) > 1 or table.form not in ("text", "uuid", "natural"):
                made.only_target.add((table.target, legacy))
            else:
                made.rows[table.name][legacy] = dict.fromkeys(table.names(), None) | {table.key[0]: legacy}
    grown = True
    while grown:  # what hangs on a row that only the target has is itself only in the target
        grown = False
        for table, legacy in pending:
            now = after[table.target][legacy]
            if legacy in before[table.target] or (table.target, legacy) in made.only_target:
                continue
            for ref in table.refs:
                parent = keys.get((ref.parent, str(now.get(ref.target or ""))))
                there = (case.table(ref.parent).target, str(parent))
                if ref.target is not None and parent is not None and there in made.only_target and not ref.nullable:
                    made.only_target.add((table.target, legacy))
                    made.rows[table.name].pop(legacy, None)
                    grown = True
    changed: list[Change] = []
    for place in range(2):  # references by other columns than the key need the parent's row first
        for table, legacy in pending:
            if legacy in made.rows[table.name]:
                _write_back(case, made, keys, table, legacy, before, after, changed, numbers.keys(), last=place == 1)
    children = _children(case, made, changed)
    _delete_back(case, made, before, after, drawn)
    _change_named(case, source, made, changed, children)
    return made


Change = tuple[Table, str, str, "str | None"]
"""A row's column that other tables may refer to, and its new value."""


def _children(case: Case, made: Back, changed: Sequence[Change]) -> list[list[tuple[str, str, Ref]]]:
    """For each change the rows that refer to the value that goes, by foreign keys."""
    return [
        [
            (child.name, key, ref)
            for child in case.tables
            for ref in child.refs
            if ref.foreign_key and ref.parent == table.name and ref.parent_columns == (name,)
            for key, row in made.rows[child.name].items()
            if row[ref.own] is not None and row[ref.own] == made.rows[table.name][legacy][name]
        ]
        for table, legacy, name, _ in changed
    ]


def _change_named(
    case: Case, source: Snapshot, made: Back, changed: Sequence[Change], children: Sequence[list[tuple[str, str, Ref]]]
) -> None:
    """A value that others refer to changes with them, or stays where they would not follow. Who refers to it only since the target is
    written does so behind the change: parents are written before children."""
    was = {child.name: {child.key_text(row): row for row in source[child.name]} for child in case.tables}
    for (table, legacy, name, value), referring in zip(changed, children, strict=True):
        if legacy not in made.rows[table.name]:
            continue
        row = made.rows[table.name][legacy]
        there = [
            (child, key, ref)
            for child, key, ref in referring
            if key in made.rows[child] and made.rows[child][key][ref.own] == row[name]
        ]
        cell = (table.target, legacy, str(table.column(name).target))
        if any(
            ref.on_update != "cascade" and key in was[child] and was[child][key][ref.own] == row[name]
            for child, key, ref in there
        ):
            made.stays.add(cell)
            continue
        if len(there) < len(referring):
            made.either.add(cell)
        for child, key, ref in there:
            made.rows[child][key][ref.own] = value
        row[name] = value


def _write_back(
    case: Case,
    made: Back,
    keys: Mapping[tuple[str, str], str],
    table: Table,
    legacy: str,
    before: Mapping[str, Mapping[str, Row]],
    after: Mapping[str, Mapping[str, Row]],
    changed: list[Change],
    numbered: Collection[tuple[str, str]],
    *,
    last: bool,
) -> None:
    now, was = after[table.target][legacy], before[table.target].get(legacy)
    row = made.rows[table.name][legacy]
    for column in table.columns:
        if column.kind.server and was is None:
            row[column.name] = column.kind.fixed or (now[column.target] if column.target is not None else None)
            if row[column.name] is None:
                made.unknown.add((table.name, legacy, column.name))
        if column.target is not None and column.kind.server and row[column.name] == now[column.target]:
            continue
        if column.target is None or (was is not None and was[column.target] == now[column.target]):
            continue
        value = column.kind.down(now[column.target])
        if value is Fate.STAYS or (value is None and not column.nullable):
            if now[column.target] is not None or was is not None:
                made.stays.add((table.target, legacy, column.target))
            continue
        assert not isinstance(value, Fate)
        if was is not None and any(
            ref.parent == table.name and ref.parent_columns == (column.name,)
            for each in case.tables
            for ref in each.refs
        ):
            if last:
                changed.append((table, legacy, column.name, value))
            continue
        row[column.name] = value
    for ref in table.refs:
        if ref.target is None:
            if was is None:
                _name(made, row, ref, _legacy(case, keys, case.root, now[case.tenant]))
            continue
        if was is not None and was[ref.target] == now[ref.target]:
            continue
        if now[ref.target] is None:
            row[ref.own] = None
            continue
        parent = _legacy(case, keys, ref.parent, now[ref.target])
        if parent is None or parent not in made.rows[ref.parent]:
            if last:
                made.stays.add((table.target, legacy, ref.target))
            continue
        if (ref.parent, parent) in numbered:
            made.named.add((table.target, legacy, ref.target))
        _name(made, row, ref, parent)


def _legacy(case: Case, keys: Mapping[tuple[str, str], str], table: str, found: str | None) -> str | None:
    return None if found is None else keys.get((table, found))


def _name(made: Back, row: Row, ref: Ref, parent: str | None) -> None:
    """Let the columns of a reference name this row of its parent."""
    named = made.rows[ref.parent][str(parent)]
    for own, there in zip(ref.columns, ref.parent_columns, strict=True):
        row[own] = named[there]


def _delete_back(
    case: Case,
    made: Back,
    before: Mapping[str, Mapping[str, Row]],
    after: Mapping[str, Mapping[str, Row]],
    drawn: Drawn,
) -> None:
    going = {
        (table.name, legacy)
        for table in case.tables
        for legacy in before[table.target]
        if legacy not in after[table.target] and legacy in made.rows[table.name]
    }
    while True:
        forward = Forward(case, {name: list(rows.values()) for name, rows in made.rows.items()}, drawn)
        held = set()
        for table in case.tables:
            for key, row in made.rows[table.name].items():
                if (table.name, key) in going:
                    continue
                for ref in table.refs:
                    if ref.foreign_key and forward.given(ref, row):
                        parent = forward.parent(ref, row)
                        if parent is not None and (ref.parent, parent) in going:
                            held.add((ref.parent, parent))
        if not held:
            break
        going -= held
        made.blocked |= held
    for name, key in going:
        del made.rows[name][key]
