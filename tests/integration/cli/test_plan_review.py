"""What `tenantry plan` finds out on a server: the speed, samples, and the locks that it announces."""

from __future__ import annotations

from typing import Any

import psycopg

from tenantry.migrate.session.prepare import prepare
from tenantry.plan.locks import MODES, locks
from tests.small import MakeSmall, Small, target_table
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

SOURCE = """
create table notes (id text primary key, org_id text not null references "Organization" (id), body text, price text, "ownerEmail" text,
    api_key text, kept integer);
insert into notes values ('n1', 'o1', 'one', ' 1.50 ', 'Ann@One.example', 'k-123', 7), ('n2', 'o2', 'two', 'free', null, null, 8),
    ('n3', 'o2', 'two', null, 'Bob@one.example', 'k-456', 9);
"""
TABLES = """
[tables.notes]
from = "notes"
tenant = ["org_id"]
access = "tenant"
columns = { price = { as = "number" }, owner_email = { from = "ownerEmail", as = "email" }, api_key = { up = "upper(s.api_key)" } }
"""
TARGET = (
    target_table("notes", ", body text, price numeric(12, 2), owner_email text, api_key text, kept integer")
    + "create index on notes (kept);"
)


def notes(make: MakeSmall, *, accounts: bool = True) -> Small:
    return make(
        accounts=accounts, source=SOURCE, target=TARGET, tables=TABLES, section='secrets = { notes = ["api_key"] }'
    )


def test_a_plan_is_calibrated_and_shows_what_becomes_of_values(small: MakeSmall) -> None:
    made = notes(small)
    before = made.rows("select count(*), max(oid) < 4294967295 from pg_class")
    said = made.run("plan", "--json", code=0).json
    assert made.rows("select count(*), max(oid) < 4294967295 from pg_class") == before
    assert said["calibration"]["calibrated"], said["calibration"]
    samples = {f"{each['mapping']}.{each['column']}": each for each in said["samples"]}
    price = samples["notes.price"]
    assert (price["unconvertible"], price["looked_at"], price["sampled"], price["masked"]) == (1, 3, False, False)
    assert [(each["before"], each["after"], each["converts"]) for each in price["samples"]] == [
        ("free", None, False), (" 1.50 ", "1.50", True)
    ]  # fmt: skip
    mails = {(each["before"], each["after"]) for each in samples["notes.owner_email"]["samples"]}
    assert mails == {("xxx@xxx.xxxxxxx", "xxx@xxx.xxxxxxx")}
    assert {each["before"] for each in samples["notes.api_key"]["samples"]} == {"(secret)"}
    assert "notes.kept" not in samples
    assert any(each["subject"] == "notes.price" for each in said["questions"])
    shown = made.run("plan", "--json", "--personal", "--no-calibration", code=0).json
    assert shown["calibration"]["why_not"] == "--no-calibration"
    mails = {
        (e["before"], e["after"])
        for each in shown["samples"]
        if each["column"] == "owner_email"
        for e in each["samples"]
    }
    assert mails == {("Ann@One.example", "ann@one.example"), ("Bob@one.example", "bob@one.example")}
    text = made.run("plan", "--no-samples", "--no-calibration", "--markdown", code=0).out
    assert "Check: `tenantry verify`" in text and "k-123" not in text


def test_a_signed_plan_holds_until_manifest_or_database_change(small: MakeSmall) -> None:
    made = notes(small)
    assert "TN-121" in made.run("migrate", "--signed", code=2).everything
    made.run("plan", "sign", "--reviewer", "Kim Lee", code=0)
    made.as_owner("alter table notes add extra text", "create index extra on notes (extra)")
    said = made.run("migrate", code=2).everything
    assert "TN-122" in said and "Kim Lee" in said
    assert "new: column notes.extra (text)" in said and "new: index extra of notes" in said
    assert made.rows("select from pg_namespace where nspname in ('tenantry', 'app')") == []
    made.as_owner("alter table notes drop extra")
    made.run("migrate", "--signed", code=0)
    # A run keeps its plan: nothing asks for the signature when it is resumed.
    (made.folder / "tenantry.signed.json").unlink()
    made.run("migrate", code=0)
    assert "TN-101" in made.run("plan", "sign", "--reviewer", "Kim Lee", code=2).everything


def test_the_announced_locks_are_those_that_postgresql_takes(small: MakeSmall) -> None:
    made = notes(small, accounts=False)
    wrong: dict[str, tuple[Any, Any]] = {}
    compared = 0
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        planned = prepare(connection, made.manifest).plan
        announced = locks(planned)
        for step in planned:
            if step.kind not in ("sql", "capture") or step.phase not in ("expand", "capture", "copy"):
                continue
            with connection.transaction():
                for text in step.sql:
                    connection.execute(text.encode())
                found = _held(connection, planned.target_schema)
            want = {(each.schema, each.table): each.mode for each in announced[step.id]}
            compared += len(found)
            if found != want:
                wrong[step.id] = (found, want)
    assert wrong == {}
    assert compared >= 5


def _held(connection: psycopg.Connection[Any], target: str) -> dict[tuple[str, str], str]:
    """The strongest lock of this session on each table that applications use."""
    held: dict[tuple[str, str], str] = {}
    for schema, table, mode in connection.execute(
        "select n.nspname, c.relname, l.mode from pg_locks l join pg_class c on c.oid = l.relation"
        " join pg_namespace n on n.oid = c.relnamespace"
        " where l.pid = pg_backend_pid() and c.relkind in ('r', 'p')"
        " and n.nspname not in ('tenantry', 'pg_catalog', 'information_schema', 'auth', %s)",
        [target],
    ):
        named = _MODES[mode]
        if (schema, table) not in held or MODES.index(named) > MODES.index(held[schema, table]):
            held[schema, table] = named
    return held


_MODES = {
    "AccessShareLock": "ACCESS SHARE", "RowShareLock": "ROW SHARE", "RowExclusiveLock": "ROW EXCLUSIVE",
    "ShareUpdateExclusiveLock": "SHARE UPDATE EXCLUSIVE", "ShareLock": "SHARE", "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ExclusiveLock": "EXCLUSIVE", "AccessExclusiveLock": "ACCESS EXCLUSIVE",
}  # fmt: skip
