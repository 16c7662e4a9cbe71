"""Rows, and the statements of writers, drawn from a seed and from what the tables hold at that moment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from random import Random

from tests.fuzz.oracle import Forward
from tests.fuzz.spec import SELF_NUMBERED, Case, Ref, Row, Snapshot, Table, listed, quoted, text_of

Transaction = tuple[str, ...]
"""Statements that an application runs together."""


class Writer:
    """Statements of an application that writes the source."""

    def __init__(self, case: Case, rng: Random, label: str) -> None:
        self.case, self.rng, self.label = case, rng, label
        self.serial = 0

    # -- values ------------------------------------------------------------------------------------------------------

    def key(self, table: Table, state: Snapshot) -> list[str]:
        rng = self.rng
        self.serial += 1
        unique = f"{self.label}{self.serial}"
        if table.form == "uuid":
            return [str(uuid.UUID(int=rng.getrandbits(128), version=4))]
        if table.form in ("integer", "bigint"):
            most = max((int(str(row[table.key[0]])) for row in state.get(table.name, ())), default=0)
            return [str(most + rng.randint(1, 9) + self.serial)]
        odd = (
            f"it's {unique}",
            f'say "{unique}"',
            f"{unique}%s",
            f"ü {unique}",
            f"back\\{unique}",
            f" {unique} ",
            f"{unique},b]",
        )
        plain = (unique, f"c{rng.getrandbits(60):x}{unique}", str(uuid.UUID(int=rng.getrandbits(128), version=4)))
        first = rng.choice(odd if rng.random() < 0.3 else plain)
        if rng.random() < 0.05:
            first = str(uuid.UUID(int=rng.getrandbits(128), version=4)).upper()
        return [first, str(rng.randint(1, 3))] if table.form == "pair" else [first]

    def row(self, table: Table, state: Snapshot, forward: Forward) -> Row:
        """A new row; keys that the server gives are left out."""
        rng = self.rng
        made: Row = {}
        if table.form not in SELF_NUMBERED:
            made.update(zip(table.key, self.key(table, state), strict=True))
        tenants = list(forward.found[self.case.root])
        tenant = rng.choice(tenants) if tenants else None
        for ref in table.refs:
            self.refer(made, table, ref, forward, tenant)
        for column in table.columns:
            if column.kind.server:
                continue
            is_email = table.name == self.case.people and column.name == self.case.email
            if is_email or any(column.name in columns for columns in table.uniques):
                self.serial += 1
                unique = f"{self.label}{self.serial}"
                made[column.name] = f"{unique}@example.org" if table.name == self.case.people else f"code {unique}"
            elif column.nullable and rng.random() < 0.25:
                made[column.name] = None
            else:
                made[column.name] = column.kind.give(rng)
        return made

    def refer(self, row: Row, table: Table, ref: Ref, forward: Forward, tenant: str | None) -> None:
        """Let a row name a parent: of the tenant, mostly."""
        rng = self.rng
        shared = [(own, named) for own, named in zip(ref.columns, ref.parent_columns, strict=True) if own != ref.own]
        row[ref.own] = None
        if ref.nullable and rng.random() < (0.7 if ref.parent == table.name else 0.2):
            return
        if not ref.foreign_key and rng.random() < 0.1:
            kinds = self.case.ref_types(ref)
            gone = (
                "999999" if kinds[0] in ("integer", "bigint") else str(uuid.UUID(int=rng.getrandbits(128), version=4))
            )
            row[ref.own] = gone
            return
        there = forward.tenants.get(ref.parent)
        keys = list(forward.found[ref.parent])
        if there is not None and not ("wrong tenants" in self.case.features and rng.random() < 0.08):
            keys = [key for key in keys if there[key] == tenant] or ([] if ref.nullable else keys)
        # The columns that it shares with another reference say already which rows it may name.
        keys = [key for key in keys if all(forward.found[ref.parent][key][named] == row[own] for own, named in shared)]
        if keys:
            parent = forward.found[ref.parent][rng.choice(keys)]
            for own, named in zip(ref.columns, ref.parent_columns, strict=True):
                row[own] = parent[named]

    # -- the first rows ----------------------------------------------------------------------------------------------

    def load(self) -> list[str]:
        """Inserts for an empty source, and the updates that close circles."""
        state: Snapshot = {table.name: [] for table in self.case.tables}
        made = []
        for table in self.case.tables:
            late = [
                ref for ref in table.refs
                if self.case.tables.index(self.case.table(ref.parent)) >= self.case.tables.index(table)
            ]  # fmt: skip
            for _ in range(table.rows):
                row = self.row(table, state, Forward(self.case, state))
                for ref in late:
                    if ref.parent != table.name:
                        row.update(dict.fromkeys(ref.columns))
                if any(row[name] is None for ref in table.refs if not ref.nullable for name in ref.columns):
                    continue
                made.append(self.insert(table, [row]))
                full = dict(row)
                if table.form in SELF_NUMBERED:
                    full[table.key[0]] = str(sum(1 for _ in state[table.name]) + 1)
                state[table.name].append({name: full.get(name) for name in table.names()})
        return made

    # -- statements --------------------------------------------------------------------------------------------------

    def insert(self, table: Table, rows: Sequence[Row]) -> str:
        names = list(rows[0])
        values = ", ".join("(" + ", ".join(text_of(row[name]) for name in names) + ")" for row in rows)
        into = table.child if table.child and self.rng.random() < 0.5 else table.name
        return f"insert into {quoted(self.case.source, into)} ({listed(names)}) values {values}"

    def where(self, table: Table, row: Row) -> str:
        return " and ".join(f"{quoted(name)} = {text_of(row[name])}" for name in table.key)

    def transaction(self, state: Snapshot) -> Transaction:
        """What an application does next."""
        rng = self.rng
        forward = Forward(self.case, state)
        table = rng.choice(self.case.tables)
        if rng.random() < 0.4:
            table = rng.choice(self.case.tables[2:])
        name = quoted(self.case.source, table.name)
        there = state[table.name]
        draw = rng.random()
        if not there or draw < 0.3:
            return (self.insert(table, [self.row(table, state, forward) for _ in range(rng.choice((1, 1, 3)))]),)
        row = rng.choice(there)
        if draw < 0.6:
            return (f"update {name} set {self.changes(table, state, forward)} where {self.where(table, row)}",)
        plain = [
            each for each in table.columns if not each.kind.server and not any(each.name in u for u in table.uniques)
        ]
        if draw < 0.68 and plain:
            column = rng.choice(plain)
            if column.name != table.role:
                return (f"update {name} set {quoted(column.name)} = {text_of(column.kind.give(rng))}",)
        if draw < 0.76 and table.form in ("text", "natural", "uuid") and "changed keys" in self.case.features:
            return (
                f"update {name} set {quoted(table.key[0])} = {text_of(self.key(table, state)[0])} where {self.where(table, row)}",
            )
        if draw < 0.80 and table.form != "always":
            # The same key again, in one transaction.
            again = {**self.row(table, state, forward), **{key: row[key] for key in table.key}}
            return (f"delete from {name} where {self.where(table, row)}", self.insert(table, [again]))
        if draw < 0.80 and table.child:
            return (f"truncate {quoted(self.case.source, table.child)}",)
        if draw < 0.83 and "truncate" in self.case.features:
            return (f"truncate {name} cascade",)
        if draw < 0.88 and table.form != "always" and not table.child:
            again = {**self.row(table, state, forward), **{key: row[key] for key in table.key}}
            changes = ", ".join(f"{quoted(each)} = excluded.{quoted(each)}" for each in again if each not in table.key)
            action = f"update set {changes}" if changes else "nothing"
            return (f"{self.insert(table, [again])} on conflict ({listed(table.key)}) do {action}",)
        return (f"delete from {name} where {self.where(table, row)}",)

    def changes(self, table: Table, state: Snapshot, forward: Forward) -> str:
        fresh = self.row(table, state, forward)
        names = [name for name in fresh if name not in table.key]
        chosen = self.rng.sample(names, min(len(names), self.rng.randint(1, 3)))
        return ", ".join(f"{quoted(name)} = {text_of(fresh[name])}" for name in chosen) or (
            f"{quoted(table.key[0])} = {quoted(table.key[0])}"
        )


class TargetWriter:
    """Statements of the application that writes the target."""

    def __init__(self, case: Case, rng: Random, label: str) -> None:
        self.case, self.rng, self.label = case, rng, label
        self.serial = 0

    def transaction(self, state: Mapping[str, Mapping[str, Row]]) -> Transaction:
        """What it does next; `state` is by target table and legacy id."""
        rng, case = self.rng, self.case
        table = rng.choice(case.tables[2:] if rng.random() < 0.8 else case.tables)
        name = quoted(case.target, table.target)
        there = list(state[table.target].values())
        draw = rng.random()
        if draw < 0.3 and self.may_be_born(table):
            made = self.row(table, state)
            if made is not None:
                names = list(made)
                return (
                    f"insert into {name} ({listed(names)}) values ({', '.join(text_of(made[each]) for each in names)})",
                )
        if not there:
            return ()
        row = rng.choice(there)
        this = f"id = {text_of(row['id'])}"
        if table.ways:
            this += f" and {quoted(case.tenant)} = {text_of(row[case.tenant])}"
        if (
            draw < 0.33
            and "truncate" in self.case.features
            and table.name not in (case.root, case.people, case.members)
        ):
            return (f"truncate {name}",)
        if draw < 0.85:
            changed = self.changes(table, row, state)
            return (f"update {name} set {changed} where {this}",) if changed else ()
        return (f"delete from {name} where {this}",)

    def may_be_born(self, table: Table) -> bool:
        features = self.case.features
        if "born in the target" not in features or table.name in (self.case.root, self.case.people):
            return False
        return table.form in ("text", "uuid", "natural") or "born beside numbers" in features

    def value(self, table: Table, name: str) -> str | None:
        column = table.column(name)
        if any(name in columns for columns in table.uniques):
            self.serial += 1
            return f"{self.label}{self.serial}" + ("@example.org" if table.name == self.case.people else "")
        if not column.needed and column.nullable and self.rng.random() < 0.2:
            return None
        return column.kind.new(self.rng)

    def parents(self, ref: Ref, tenant: str | None, state: Mapping[str, Mapping[str, Row]]) -> list[str]:
        parent = self.case.table(ref.parent)
        return [
            str(row["id"])
            for row in state[parent.target].values()
            if not parent.ways or row[self.case.tenant] == tenant
        ]

    def row(self, table: Table, state: Mapping[str, Mapping[str, Row]]) -> Row | None:
        rng, case = self.rng, self.case
        made: Row = {}
        tenants = [str(row["id"]) for row in state[case.table(case.root).target].values()]
        if not tenants:
            return None
        if table.ways:
            made[case.tenant] = rng.choice(tenants)
        for ref in table.refs:
            if ref.target is None:
                continue
            found = self.parents(ref, made.get(case.tenant), state)
            if not found and not ref.nullable:
                return None
            must = ref.own in table.ways or not ref.nullable
            if not found and must:
                return None
            made[ref.target] = rng.choice(found) if found and (must or rng.random() < 0.7) else None
        for column in table.columns:
            if column.target is not None:
                value = self.value(table, column.name)
                if value is None and not column.nullable:
                    value = column.kind.new(rng)
                made[column.target] = value
        return made or None

    def changes(self, table: Table, row: Row, state: Mapping[str, Mapping[str, Row]]) -> str:
        rng = self.rng
        sets: Row = {}
        for column in table.columns:
            if column.target is not None and rng.random() < 0.5:
                sets[column.target] = self.value(table, column.name)
        for ref in table.refs:
            if ref.target is None or rng.random() < 0.5:
                continue
            found = self.parents(ref, row.get(self.case.tenant), state)
            if ref.nullable and ref.own not in table.ways and rng.random() < 0.3:
                sets[ref.target] = None
            elif found:
                sets[ref.target] = rng.choice(found)
        return ", ".join(f"{quoted(name)} = {text_of(value)}" for name, value in sets.items())
