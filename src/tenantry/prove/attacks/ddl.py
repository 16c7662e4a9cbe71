"""Attacks that change the tables themselves: triggers, rules, policies, owners, rights."""

from __future__ import annotations

from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import Attempt
from tenantry.prove.attacks.harness.helpers import refused
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module
from tenantry.prove.attacks.harness.rights import right


def _refused(attempt: Attempt, statements: dict[str, str]) -> AttackVerdict:
    """Run statements that every table must refuse; {table} and {column} are replaced by it and one of its columns."""
    return refused(
        attempt,
        (
            (
                f"{what} on {target.table.name}",
                statement.format(table=target.name, column=ident(target.table.columns[-1].name)),
            )
            for target in attempt.world.targets(attempt.attacker)
            for what, statement in statements.items()
        ),
        visitors=False,
    )


@attack("writes", tries="Empties whole tables by TRUNCATE, which no policy filters.", gains="The loss of all rows.",
        source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html", rights=right("truncate"))  # fmt: skip
def truncate(attempt: Attempt) -> AttackVerdict:
    return _refused(attempt, {"TRUNCATE": "truncate {table}", "TRUNCATE … CASCADE": "truncate {table} cascade"})


@attack("writes", tries="Makes a trigger on a table, with existing functions and with one of the attacker's own.",
        gains="Code that runs in every write, with the rights of the writer.",
        source="https://www.postgresql.org/docs/current/sql-createtrigger.html", rights=right("trigger"))  # fmt: skip
def create_trigger(attempt: Attempt) -> AttackVerdict:
    return _refused(
        attempt,
        {
            "CREATE TRIGGER": "create trigger planted before update on {table} for each row"
            " execute function pg_catalog.suppress_redundant_updates_trigger()",
            "CREATE CONSTRAINT TRIGGER": "create constraint trigger planted after insert on {table} deferrable for each row"
            " execute function pg_catalog.suppress_redundant_updates_trigger()",
            "DISABLE TRIGGER": "alter table {table} disable trigger all",
        },
    )


@attack("writes", tries="Makes a rule that replaces others' writes, or adds to them.",
        gains="Copies of others' writes.", source="https://www.postgresql.org/docs/current/sql-createrule.html",
        rights=right("own_table"))  # fmt: skip
def create_rule(attempt: Attempt) -> AttackVerdict:
    return _refused(
        attempt,
        {
            "CREATE RULE": "create rule planted as on delete to {table} do instead nothing",
            "CREATE RULE ALSO": "create rule planted as on insert to {table} do also notify planted",
        },
    )


@attack("writes", tries="Makes, alters and drops policies.", gains="Rows of all tenants, for every caller.",
        source="https://www.postgresql.org/docs/current/sql-createpolicy.html", rights=right("own_table"))  # fmt: skip
def change_policies(attempt: Attempt) -> AttackVerdict:
    statements = {"CREATE POLICY": "create policy planted on {table} using (true)"}
    verdict = _refused(attempt, statements)
    if verdict.outcome == "broken":
        return verdict
    with attempt.acting_as(attempt.attacker) as me:
        me.raw("set local role none")
        for table in attempt.project.target.tables:
            for policy in table.policies:
                name, on = ident(policy.name), ident(table.schema, table.name)
                for statement in (f"drop policy {name} on {on}", f"alter policy {name} on {on} to public"):
                    if me.run(statement, undo=True).ok:
                        return broken(f"{statement.split()[0].upper()} POLICY is not refused on {table.name}")
    return verdict


@attack("writes", tries="Makes indexes, also on expressions that call the attacker's functions.",
        gains="Functions that run over every row as the owner; knowledge whether values are unique.",
        source="CVE-2020-25695", rights=right("own_table"))  # fmt: skip
def create_index(attempt: Attempt) -> AttackVerdict:
    return _refused(
        attempt,
        {
            "CREATE INDEX": "create index planted on {table} (({column}::text))",
            "CREATE UNIQUE INDEX": "create unique index planted on {table} ({column})",
            "CREATE STATISTICS": "create statistics planted on (({column}::text)) from {table}",
            "REINDEX": "reindex table {table}",
            "CLUSTER": "alter table {table} set without cluster",
        },
    )


@attack("writes", tries="Alters tables: no row security, another owner, dropped checks, an additional column, another name.",
        gains="Tables without policies.", source="https://www.postgresql.org/docs/current/sql-altertable.html",
        rights=right("own_table"))  # fmt: skip
def alter_table(attempt: Attempt) -> AttackVerdict:
    return _refused(
        attempt,
        {
            "DISABLE ROW LEVEL SECURITY": "alter table {table} disable row level security",
            "NO FORCE ROW LEVEL SECURITY": "alter table {table} no force row level security",
            "OWNER TO": "alter table {table} owner to current_user",
            "ADD COLUMN": "alter table {table} add column planted integer",
            "ALTER COLUMN": "alter table {table} alter column {column} drop not null",
            "SET DEFAULT": "alter table {table} alter column {column} set default null",
            "SET SCHEMA": "alter table {table} set schema public",
            "DROP TABLE": "drop table {table} cascade",
        },
    )


@attack("writes", tries="Grants rights to PUBLIC, to anonymous clients and to the attacker.", gains="Rights that last longer than a session.",
        source="https://www.postgresql.org/docs/current/sql-grant.html", rights=right("grant_option"))  # fmt: skip
def grant_rights(attempt: Attempt) -> AttackVerdict:
    anon = attempt.manifest.database_roles.anon
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.world.targets(attempt.attacker):
            columns = target.columns if target.readable else ident(target.table.columns[0].name)
            for right_, has in (
                ("select", f"has_any_column_privilege({literal(anon)}, {literal(target.name)}, 'SELECT')"),
                (f"select ({columns})", f"has_any_column_privilege({literal(anon)}, {literal(target.name)}, 'SELECT')"),
                ("delete", f"has_table_privilege({literal(anon)}, {literal(target.name)}, 'DELETE')"),
            ):
                before = me.run(f"select {has}").value
                me.raw("savepoint granting")
                # A role without a right to grant gets a warning, not an error.
                me.run(f"grant {right_} on {target.name} to {ident(anon)}")
                after = me.run(f"select {has}").value
                me.raw("rollback to savepoint granting")
                tried += 1
                if after and not before:
                    return broken(f"{right_.split()[0].upper()} on {target.table.name} is granted to anonymous clients")
    return held(f"{tried} grants gave nothing")


@attack("writes", tries="Makes a table that references others' tables, to test their keys by its foreign key.",
        gains="Knowledge whether a key exists in any tenant: foreign keys bypass policies.",
        source="https://www.postgresql.org/docs/current/ddl-priv.html (REFERENCES)", rights=right("references"))  # fmt: skip
def reference_by_an_own_table(attempt: Attempt) -> AttackVerdict:
    """REFERENCES is enough if a table can be made anywhere, and useless otherwise, so both rights are checked."""
    with attempt.acting_as(attempt.attacker) as me:
        for role in (ident(attempt.world.client), "none"):
            me.raw(f"set local role {role}")
            for target in attempt.world.targets(attempt.attacker):
                answer = me.run(f"select has_any_column_privilege({literal(target.name)}, 'REFERENCES')")
                if answer.value is True:
                    return broken(f"REFERENCES is granted on {target.table.name}")
    return held("no client role has REFERENCES")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
