"""The dual-write window: changes to both sides while applications write both, undone when one side is closed.

- Sequences that fill the same column on both sides are interleaved, so that no number is returned twice.
- Triggers of applications ignore the rows that Tenantry replays: those are already final.
- Capture records whole rows, so that every change that loses a conflict can be listed.

The transaction that opens the window does all of it. `tenantry.window_change` stores the SQL that undoes each part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tenantry.errors import NotReady
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.migrate.session.reserved_names import TRIGGERS
from tenantry.postgres import ident, literal, literals, load_blocks
from tenantry.statements.capture import DERIVED, capture_body, capture_function, fed_tables

CLOSE = f"select {JOURNAL}.close_window()"
"""Undoes everything; does nothing if no window is open."""

_ROOM = 1_000
"""How many numbers each side must be able to draw during a window."""

_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def opening(connection: Connection, project: Project, login: str) -> list[str]:
    """Return the statements that open the window, to run after those of the cut-over.

    Args:
        login: the migrator's login, whose writes triggers must ignore.

    Raises:
        NotReady: a sequence or a trigger cannot be changed during the window; nothing was changed.
    """
    groups = _shared(_drawn(connection, project), project)
    guarded = [*_triggers(connection, project.source.schema, _source_names(project), None)]
    guarded += _triggers(
        connection,
        project.target.schema,
        [table.name for table in fed_tables(project)],
        {(table.name, t.name): t.enabled for table in project.target.tables for t in table.triggers},
    )
    problems = [problem for group in groups for problem in group.problems()]
    problems += [problem for trigger in guarded for problem in trigger.problems(login)]
    if problems:
        raise NotReady(
            "A dual-write window is not possible. Nothing was changed. The reasons:\n  " + "\n  ".join(problems),
            hint="Fix this and run the same command again, or cut over without --dual-write.",
            detail={"problems": problems},
        )
    statements: list[str] = []
    for group in groups:
        statements += group.statements()
    for trigger in guarded:
        statements += trigger.statements(login)
    statements += _images(connection, project)
    return statements


def _remember(undo: str, relation: str | None = None, trigger: str | None = None, definition: str | None = None) -> str:
    return (
        f"insert into {JOURNAL}.window_change (relation, trigger_name, definition, undo) values"
        f" ({literals((relation, trigger, definition, undo))})"
    )


# -- sequences -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sequence:
    schema: str
    name: str
    increment: int
    bound: int
    last: int
    mine: bool
    owner: str

    @property
    def sql(self) -> str:
        return ident(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class _Group:
    """Sequences that fill the same column on different sides."""

    sequences: tuple[_Sequence, ...]
    columns: tuple[str, ...]
    """The sequences in a message."""

    @property
    def step(self) -> int:
        """The largest increment, so that applications that draw blocks of numbers keep their blocks."""
        return max((each.increment for each in self.sequences), key=abs)

    def problems(self) -> Iterator[str]:
        what = f"{' and '.join(self.columns)} are drawn from sequences of their own"
        for each in self.sequences:
            if not each.mine:
                yield (
                    f"{what}, and {each.sql} belongs to {each.owner}, so that Tenantry cannot interleave them:"
                    f" GRANT {ident(each.owner)} to Tenantry's login"
                )
        furthest = (max if self.step > 0 else min)(each.last for each in self.sequences)
        need = furthest + self.step * len(self.sequences) * _ROOM
        for each in self.sequences:
            if (need > each.bound) == (self.step > 0):
                yield (
                    f"{what}, and {each.sql} has no room for {_ROOM:,} more numbers on either side: it ends at {each.bound}."
                    f" ALTER SEQUENCE {each.sql} {'MAXVALUE' if self.step > 0 else 'MINVALUE'} …"
                )

    def statements(self) -> Iterator[str]:
        names = literals(each.sql for each in self.sequences)
        back = ", ".join(str(each.increment) for each in self.sequences)
        yield _remember(f"select {JOURNAL}.interleave(array[{names}], {self.step}, array[{back}]::bigint[])")
        yield f"select {JOURNAL}.interleave(array[{names}], {self.step}, array[{', '.join(['null'] * len(self.sequences))}]::bigint[])"


def _drawn(connection: Connection, project: Project) -> dict[tuple[str, str, str], list[_Sequence]]:
    """Return the sequences by the schema, table and column that they fill."""
    found: dict[tuple[str, str, str], list[_Sequence]] = {}
    for schema, table, column, *sequence in connection.execute(
        load_blocks("tenantry.migrate.switch", "dual_write_window")["drawn"],
        {"schemas": [project.source.schema, project.target.schema]},
    ):
        found.setdefault((str(schema), str(table), str(column)), []).append(_Sequence(*sequence))
    return found


def _shared(drawn: dict[tuple[str, str, str], list[_Sequence]], project: Project) -> list[_Group]:
    groups: list[tuple[set[_Sequence], dict[str, None]]] = []
    for mapping in project:
        for column in mapping.columns:
            if column.source is None:
                continue
            there = drawn.get((project.source.schema, mapping.source.name, column.source), [])
            here = drawn.get((project.target.schema, mapping.target.name, column.name), [])
            together = {*there, *here}
            if not there or not here or len(together) < 2:
                continue
            if len({each.increment > 0 for each in together}) > 1:
                continue  # one counts up and the other down
            names = dict.fromkeys((f"{mapping.source.name}.{column.source}", f"{mapping.target.name}.{column.name}"))
            for group in [group for group in groups if group[0] & together]:
                groups.remove(group)
                together |= group[0]
                names = {**group[1], **names}
            groups.append((together, names))
    return [_Group(tuple(sorted(sequences, key=lambda each: each.sql)), tuple(names)) for sequences, names in groups]


# -- triggers ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Guarded:
    """A trigger of an application that ignores Tenantry's own writes during the window."""

    schema: str
    table: str
    name: str
    definition: str
    always: bool
    constraint: bool
    conditional: bool
    comment: str | None
    may_call: bool
    function: str

    @property
    def relation(self) -> str:
        return ident(self.schema, self.table)

    def problems(self, login: str) -> Iterator[str]:
        if not self.may_call:
            yield (
                f"trigger {self.name} of {self.table} would fire for replayed rows, and Tenantry cannot"
                f" change it to ignore them: GRANT EXECUTE ON FUNCTION {self.function} TO {ident(login)}"
            )

    def statements(self, login: str) -> Iterator[str]:
        yield _remember(";\n".join(self._make(self.definition)), self.relation, self.name, self.definition)
        yield from self._make(guarded(self.definition, login, conditional=self.conditional))

    def _make(self, definition: str) -> Iterator[str]:
        name = ident(self.name)
        if self.constraint:
            yield f"drop trigger if exists {name} on {self.relation}"
            yield definition
            if self.comment:
                yield f"comment on trigger {name} on {self.relation} is {literal(self.comment)}"
        else:
            yield definition.replace("CREATE TRIGGER ", "CREATE OR REPLACE TRIGGER ", 1)
        if self.always:
            yield f"alter table {self.relation} enable always trigger {name}"


def guarded(definition: str, login: str, *, conditional: bool) -> str:
    """Return a trigger's definition (of pg_get_triggerdef) with a condition that excludes one login."""
    # Names can contain any text, so keywords are searched outside of them.
    bare = _QUOTED.sub(lambda match: "x" * len(match.group()), definition)
    if conditional:
        # PostgreSQL puts the condition after it into parentheses.
        place = bare.index(" WHEN (") + len(" WHEN (")
        return f"{definition[:place]}session_user <> {literal(login)} AND {definition[place:]}"
    place = bare.index(" EXECUTE FUNCTION ")
    return f"{definition[:place]} WHEN (session_user <> {literal(login)}){definition[place:]}"


def _triggers(
    connection: Connection, schema: str, tables: Sequence[str], states: dict[tuple[str, str], str] | None
) -> list[Guarded]:
    """
    Args:
        states: by table and trigger, the state after the cut-over; None: unchanged.
    """
    ours = list(TRIGGERS)
    found = []
    with connection.transaction():
        connection.execute("set local search_path = ''")
        for row in connection.execute(
            load_blocks("tenantry.migrate.switch", "dual_write_window")["triggers"],
            {"schema": schema, "tables": list(tables), "ours": ours},
        ).fetchall():
            there, table, name, definition, enabled, *rest = row
            state = (
                {"O": "origin", "A": "always"}.get(str(enabled), "")
                if states is None
                else states.get((str(table), str(name)), "")
            )
            if state in ("origin", "always"):
                found.append(Guarded(str(there), str(table), str(name), str(definition), state == "always", *rest))
    return found


def _source_names(project: Project) -> list[str]:
    return [table.name for table in project.source_tables]


# -- images --------------------------------------------------------------------------------------------------------------


def _images(connection: Connection, project: Project) -> Iterator[str]:
    """Make capture record whole rows, by replacing its functions."""
    row = connection.execute(
        load_blocks("tenantry.migrate.switch", "dual_write_window")["instead"],
        {"schemas": [project.source.schema, project.target.schema]},
    ).fetchone()
    assert row is not None
    derived = not row[0]
    for table in project.source_tables:
        yield from _other_body(
            connection, f"{capture_function(table)}()", capture_body(table, images=True, derived=derived)
        )
    log = f"insert into {JOURNAL}.target_log (table_name"
    yield from _other_body(
        connection,
        f"{JOURNAL}.capture_target()",
        f"create or replace function {JOURNAL}.capture_target() returns trigger\n"
        "    language plpgsql security definer\n    set search_path = pg_catalog, pg_temp\nas $capture$\nbegin\n    case tg_op\n"
        f"        when 'INSERT' then\n            {log}, new_key, image) values (tg_argv[0], new.legacy_id, row_to_json(new));\n"
        f"        when 'UPDATE' then\n            {log}, old_key, new_key, image, was) values (tg_argv[0], old.legacy_id,"
        f" new.legacy_id, row_to_json(new), {DERIVED if derived else 'null'});\n"
        f"        when 'DELETE' then\n            {log}, old_key) values (tg_argv[0], old.legacy_id);\n"
        f"        else\n            {log}) values (tg_argv[0]);\n"
        "    end case;\n    return null;\nend\n$capture$",
    )


def _other_body(connection: Connection, function: str, body: str) -> Iterator[str]:
    row = connection.execute("select pg_get_functiondef(to_regprocedure(%s))", [function]).fetchone()
    assert row is not None
    if row[0] is not None:
        yield _remember(str(row[0]))
        yield body


__all__ = ["CLOSE", "guarded", "opening"]
