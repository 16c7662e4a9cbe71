"""Helpers of several attacks: queries of every table, and statements that must touch no row or be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tenantry.postgres import ident
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, SessionAnswer, TargetTable
from tenantry.prove.attacks.harness.model import AttackVerdict, broken, held, not_applicable
from tenantry.prove.expected.callers import OWN
from tenantry.prove.fixtures.build import FixtureRow
from tenantry.prove.fixtures.row_factory import Values

_NO_RIGHT = "42501"

Question = tuple[str, str]
"""A description, and a SELECT whose first value is the number of hidden rows that it saw."""


@dataclass(slots=True)
class Outcomes:
    """How statements ended that did not succeed: refused for lack of a right or by a policy, or with another error."""

    refused: int = 0
    failed: int = 0

    def add(self, answer: SessionAnswer) -> None:
        self.refused += answer.sqlstate == _NO_RIGHT
        self.failed += not answer.ok and answer.sqlstate != _NO_RIGHT

    def __str__(self) -> str:
        others = f", {self.failed} ended in another error" if self.failed else ""
        return f"; {self.refused} were refused{others}"


def nothing_to_see() -> AttackVerdict:
    return not_applicable("no row of another tenant could be made that this client must not see")


def count_none(attempt: Attempt, questions: Callable[[TargetTable], Iterable[Question]]) -> AttackVerdict:
    """Query every table as the attacker; broken at the first query that sees a hidden row."""
    asked, outcomes = 0, Outcomes()
    targets = [target for target in attempt.targets() if target.readable]
    with attempt.acting_as(attempt.attacker) as me:
        for target in targets:
            for what, statement in questions(target):
                answer = me.run(statement)
                asked += 1
                outcomes.add(answer)
                if answer.number:
                    return broken(f"{target.table.name}: {what} showed {answer.number} rows of the other tenant")
    if not asked:
        return nothing_to_see()
    return held(f"{asked} queries of {len(targets)} tables showed no row{outcomes}")


def of_tenant(attempt: Attempt, target: TargetTable) -> str | None:
    """Return the condition for all rows of the other tenant, if all of them are hidden; else None."""
    if target.tenant is None or target.mixed:
        return None
    return f"{ident(target.tenant)} = {target.value(target.tenant, attempt.other)}"


NO_WRITES = "clients have no right to write such rows"


def insert_sql(target: TargetTable, values: Values, *, more: str = "") -> str | None:
    """Return an INSERT of those of these values that clients may set; None if they may set none."""
    names = [name for name in target.insertable if values.get(name) is not None]
    if not names:
        return None
    columns = ", ".join(ident(name) for name in names)
    given = ", ".join(target.value(name, values[name]) for name in names)
    return f"insert into {target.name} ({columns}) values ({given}){more}"


def touched(
    attempt: Attempt,
    statements: Callable[[TargetTable], Iterator[tuple[str, str]]],
    none: str,
    targets: tuple[TargetTable, ...] | None = None,
) -> AttackVerdict:
    """Run statements as the attacker, rolling back each; broken at the first that touches a row."""
    tried, outcomes = 0, Outcomes()
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.targets() if targets is None else targets:
            for what, statement in statements(target):
                answer = me.run(statement, undo=True)
                tried += 1
                outcomes.add(answer)
                if answer.touched:
                    return broken(f"{target.table.name}: {what} touched {answer.touched} rows")
    if not tried:
        return not_applicable(none)
    return held(f"{tried} statements touched no row{outcomes}")


def own_row(attempt: Attempt, target: TargetTable) -> FixtureRow | None:
    """Return a row of the attacker's tenant that they may change."""
    rows = (row for row in target.visible if row.facts.tenant == OWN)
    return next((row for row in rows if attempt.world.may(attempt.attacker, "update", row.facts)), None)


NO_INDEXES = "set local enable_indexscan = off; set local enable_indexonlyscan = off; set local enable_bitmapscan = off"
"""Forces the conditions to be evaluated row by row, rather than through an index that finds only the attacker's own rows."""


def client_relations(attempt: Attempt) -> Iterator[tuple[str, list[str]]]:
    """Yield what clients can query: tables with hidden rows, with the columns that hold their marks, and views."""
    for target in attempt.targets():
        marked = [
            name for name in target.readable if any(row.values.get(name) in attempt.marked for row in target.hidden)
        ]
        if marked:
            yield target.name, marked
    rights = attempt.world.rights()
    for view in attempt.project.target.views:
        columns = [row["column_name"] for row in rights.get(view.name, []) if row["readable"]]
        if columns:
            yield ident(view.schema, view.name), columns


def makes_functions(attempt: Attempt, me: AttackSession) -> str | None:
    """Return a schema in which the session may make a function; the function stays until the transaction ends."""
    schemas = [
        "pg_temp",
        *(str(row[0]) for row in attempt.world.ask("select nspname::text from pg_namespace order by 1")),
    ]
    for schema in schemas:
        if schema.startswith(("pg_toast", "pg_temp_")):
            continue
        made = me.run(
            f"create function {ident(schema)}.prowl(text) returns boolean language plpgsql cost 0.0001"
            " as 'begin raise notice ''seen: %'', $1; return true; end'"
        )
        if made.ok:
            return ident(schema)
    return None


def refused(attempt: Attempt, statements: Iterable[tuple[str, str]], *, visitors: bool = True) -> AttackVerdict:
    """Run statements, as (description, SQL), that must be refused to clients, anonymous clients and the login itself."""
    roles = attempt.manifest.database_roles
    tried = [ident(roles.authenticated), *([ident(roles.anon)] if visitors else []), "none"]
    asked = list(statements)
    rights = others = 0
    last: object = None
    with attempt.acting_as(attempt.attacker) as me:
        for role in tried:
            me.raw(f"set local role {role}")
            for what, statement in asked:
                answer = me.run(statement, undo=True)
                if answer.ok:
                    return broken(f"{what} is not refused to {'the login itself' if role == 'none' else role}")
                if answer.sqlstate == _NO_RIGHT:
                    rights += 1
                else:
                    others, last = others + 1, answer
    if not asked:
        return nothing_to_see()
    more = f", {others} for another reason ({last})" if others else ""
    return held(f"{rights} statements were refused for lack of a right{more}")
