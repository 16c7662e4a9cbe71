"""What else lives in a database: publications of every table, event triggers, other encodings."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tenantry.migrate.run.engine import Migration
from tenantry.migrate.session.observer import Silent
from tenantry.plan import Step
from tenantry.postgres import EmbeddedServer
from tests.conftest import running_server
from tests.migrate_support import cli
from tests.small import MANIFEST, TARGET, MakeSmall, Small, target_table
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here

NOTES = """
create table notes (id text primary key, org_id text not null references "Organization" (id), body text);
insert into notes values ('n1', 'o1', 'a'), ('n2', 'o1', 'b'), ('n3', 'o2', 'c'), ('bad', 'o2', null);
"""
TABLES = """
[tables.notes]
from = "notes"
tenant = ["org_id"]
access = "tenant"
"""


def make(small: MakeSmall, *, users: str = "", target: str = "", more: str = "", **parts: str) -> Small:
    notes = target_table("notes", ", body text not null") + target
    return small(source=NOTES, target=notes, tables=TABLES + more, users=users, **parts)


def codes(made: Small) -> dict[str, dict[str, str]]:
    return {each["code"]: each for each in made.run("analyze", "--json").json["findings"]}


def there_and_back(made: Small) -> None:
    """A run whose journal is written in every way that a small one can be: quarantine, changes, conflicts, both directions."""
    made.migrate()
    made.write("update notes set body = 'x' where id = 'n1'", "delete from notes where id = 'n2'", user="postgres")
    made.run("replay", "--until-idle", code=0)
    made.cut_over()
    made.write("update app.notes set body = 'y' where legacy_id = 'n1'", user="postgres")
    made.write("delete from app.notes where legacy_id = 'n3'", user="postgres")
    made.roll_back()
    assert made.rows("select id, body from notes order by id") == [("bad", None), ("n1", "y")]
    made.run("verify", code=0)


def test_tables_that_are_made_can_be_published(small: MakeSmall) -> None:
    made = make(small, before="create publication everything for all tables", users="in_step = false")
    found = codes(made)
    assert found["TA-121"]["severity"] == "warning" and found["TA-121"]["table"] == "everything"
    there_and_back(made)
    made.run("seal", "new", "--print", code=0)
    # Every table, of whatever command: PostgreSQL would refuse its updates and deletes.
    assert made.rows(
        "select c.oid::regclass::text from pg_class c where c.relnamespace in ('tenantry'::regnamespace, 'app'::regnamespace)"
        " and c.relkind in ('r', 'p') and c.relpersistence = 'p' and c.relreplident <> 'f' and not exists"
        " (select from pg_index i where i.indrelid = c.oid and (i.indisprimary or i.indisreplident)) order by 1"
    ) == []  # fmt: skip
    made.cut_over()
    made.run("contract", "--yes", "--watch-for", "0", code=0)


def test_rows_are_corrected_before_the_keys_are_back_in_a_published_target(small: MakeSmall) -> None:
    made = make(small, before="create publication everything for all tables")
    made.rewrite(
        'access = "tenant"', 'access = "tenant"\nmerge = { by = ["body"], keep = "legacy_id", reason = "same text" }'
    )
    made.as_owner("insert into notes values ('n4', 'o1', 'a')")

    class Writing(Silent):
        def started(self, step: Step, **_counts: int) -> None:
            if step.id == "copy.legacy:notes":
                made.write("update notes set body = 'x' where id = 'n3'", "delete from notes where id = 'n2'")

    Migration(made.dsn, made.manifest, observer=Writing()).run()
    assert made.rows("select legacy_id, body from app.notes order by 1") == [("n1", "a"), ("n3", "x")]
    assert made.rows(
        "select distinct relreplident from pg_class where relnamespace = 'app'::regnamespace and relkind = 'r'"
    ) == [("d",)]
    made.cut_over()
    # A cell that stands in the target only is put aside before everything is undone.
    made.as_superuser(
        "insert into tenantry.kept (table_name, legacy_id, column_name, reason) values ('notes', 'n1', 'body', 'x')"
    )
    made.roll_back("--everything")
    assert made.one("select count(*) from app_kept.tenantry_cells where value is not null") == 1


def test_a_target_table_that_a_publication_would_refuse_to_change_is_a_blocker(small: MakeSmall) -> None:
    made = make(
        small,
        before="create publication everything for all tables",
        target="create table tags (org_id uuid not null references orgs (id), name text not null);",
        more='[tables.tags]\naccess = "tenant"\n',
    )
    found = codes(made)
    assert found["TA-122"]["severity"] == "blocker" and found["TA-122"]["table"] == "tags"
    said = made.run("migrate", "--json", code=2).json["error"]
    assert said["code"] == "TN-218" and "tags" in said["message"] and "replica identity full" in said["hint"]
    (made.folder / "target.sql").write_text(
        (made.folder / "target.sql").read_text() + "alter table tags replica identity full;"
    )
    assert "TA-122" not in codes(made)


EVENT_TRIGGER = """
create schema ops;
create function ops.secure_all() returns event_trigger language plpgsql as $$
declare made record;
begin
    for made in select * from pg_event_trigger_ddl_commands() loop
        if made.object_type = 'table' {unless} then
            execute format('alter table %s enable row level security {force}', made.object_identity);
        end if;
    end loop;
end $$;
create event trigger auto_rls on ddl_command_end when tag in ({tags}) execute function ops.secure_all();
"""
CREATING = "'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO'"


@pytest.mark.parametrize(
    "force, unless",
    [
        ("", ""),
        (", force row level security", "and made.schema_name not like 'pg_temp%'"),
    ],
)
def test_an_event_trigger_that_secures_every_table_hides_nothing(small: MakeSmall, force: str, unless: str) -> None:
    made = make(small, after=EVENT_TRIGGER.format(force=force, unless=unless, tags=CREATING))
    found = codes(made)
    assert found["TA-124"]["severity"] == "warning" and "auto_rls" in found["TA-124"]["title"]
    there_and_back(made)
    assert made.one("select count(*) from tenantry.event where code = 'row_security_off'") > 5
    assert made.rows(
        "select oid::regclass::text from pg_class where relnamespace = 'tenantry'::regnamespace and relrowsecurity"
    ) == []  # fmt: skip
    # The context functions read their tables: every cell of the matrix is executed.
    made.run("prove", code=0)


def test_temporary_tables_that_are_forced_are_refused(small: MakeSmall) -> None:
    made = make(small, after=EVENT_TRIGGER.format(force=", force row level security", unless="", tags=CREATING))
    found = codes(made)
    assert found["TA-123"]["severity"] == "blocker" and "auto_rls" in found["TA-123"]["title"]
    said = made.run("migrate", "--json", code=2).json["error"]
    assert said["code"] == "TN-218" and "auto_rls" in said["message"]
    assert made.one("select to_regnamespace('tenantry') is null")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_other_encodings_are_refused_before_anything_is_asked(
    servers: dict[int, EmbeddedServer], tmp_path: Path, encoding: str
) -> None:
    server, name = running_server(servers, 18), f"in_{encoding.lower()}"
    (tmp_path / "tenantry.toml").write_text(MANIFEST.format(source="", users="", tables=""))
    (tmp_path / "target.sql").write_text(TARGET)
    environment = {"TENANTRY_DSN": server.dsn(name), "TENANTRY_MANIFEST": str(tmp_path / "tenantry.toml")}
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} encoding {} locale 'C' template template0 strategy file_copy").format(
                sql.Identifier(name), sql.Literal(encoding)
            )
        )
        try:
            for arguments in (
                ("analyze",), ("plan",), ("migrate",), ("rehearse",), ("prove", "--copy"), ("prove",), ("lint",), ("status",),
                ("verify",), ("cutover",), ("rollback", "--yes"), ("roles", "--apply"), ("users", "plan"), ("catalog",),
            ):  # fmt: skip
                said = cli(*arguments, environment=environment)
                assert said.code == 2 and "TN-217" in said.err and encoding in said.err, (arguments, said)
            with psycopg.connect(server.dsn(name)) as there:
                assert there.execute("select to_regnamespace('tenantry'), to_regnamespace('app')").fetchone() == (
                    None,
                    None,
                )
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


ELSEWHERE = """
create schema reports;
grant usage, create on schema reports to small_owner;
create view reports.open_notes as select n.id from public.notes n join public."Organization" o on o.id = n.org_id;
create table reports.days (id integer primary key, note text references public.notes (id));
create schema cron;
create table cron.job (jobid bigint, schedule text, command text, database text, active boolean, jobname text);
insert into cron.job values (1, '0 3 * * *', 'delete from notes where body is null', current_database(), true, 'nightly'),
    (2, '0 4 * * *', 'vacuum', current_database(), true, null), (3, '0 4 * * *', 'select from notes', 'elsewhere', true, null),
    (4, '0 4 * * *', 'select from notes', current_database(), false, null);
"""


def test_what_other_schemas_jobs_and_roles_use_is_reported(small: MakeSmall) -> None:
    made = make(small, after=ELSEWHERE)
    said = [
        each
        for each in made.run("analyze", "--json").json["findings"]
        if each["code"] in ("TA-177", "TA-178", "TA-179")
    ]
    # The login may not read the jobs of a schema that it has no privilege in.
    assert "TA-177" not in {each["code"] for each in said}
    found = {(each["code"], each["table"]): each for each in said}
    assert found["TA-179", "reports.open_notes"]["keys"] == ["Organization", "notes"]
    assert "foreign key" in found["TA-179", "days_note_fkey of reports.days"]["title"]
    assert found["TA-178", "small_web"]["keys"] == ["Organization", "User", "notes"]
    assert all(each["explanation"] and each["advice"] for each in said)
    made.as_superuser("grant usage on schema cron to small_owner", "grant select on cron.job to small_owner")
    jobs = [each for each in made.run("analyze", "--json").json["findings"] if each["code"] == "TA-177"]
    assert [(each["table"], each["keys"]) for each in jobs] == [("nightly", ["notes"])]


DEPENDING = """
create policy of_members on storage.objects using (org in (select o.id from public."Organization" o));
create function storage.count_notes() returns bigint language sql as 'select count(*) from public.notes';
create function storage.unrelated() returns text language sql as $$select 'notes'$$;
create publication warehouse for table public.notes;
insert into notes select 'long', 'o1', string_agg(sha512(i::text::bytea)::text, ''), '[1,2]' from generate_series(1, 60) i;
insert into notes values ('short', 'o1', 'x', '[1,2]');
"""


def test_extensions_replication_and_long_keys_are_reported(small: MakeSmall) -> None:
    made = small(
        before="create schema storage; grant usage on schema storage to public; create extension vector schema storage;"
        " create table storage.objects (id integer primary key, org text);",
        source='create table notes (id text primary key, org_id text not null references "Organization" (id), body text,'
        ' place storage.vector(2), code text collate "pg_c_utf8");',
        target=target_table("notes", ", body text, place storage.vector(2)", "unique (org_id, body)"),
        tables=TABLES,
        after=DEPENDING,
    )
    made.as_superuser("update pg_collation set collversion = '0' where collname = 'pg_c_utf8'")
    found = {(each["code"], each["table"]): each for each in made.run("analyze", "--json").json["findings"]}
    assert (
        found["TA-172", "vector"]["keys"] == ["notes.place"] and "schema storage" in found["TA-172", "vector"]["advice"]
    )
    assert found["TA-174", "notes"]["keys"] == ["long"] and "notes_org_id_body_key" in found["TA-174", "notes"]["title"]
    assert found["TA-180", "warehouse"]["keys"] == ["notes"]
    assert {name for code, name in found if code == "TA-179"} == {
        "of_members of storage.objects",
        "storage.count_notes",
    }
    assert [name for code, name in found if code == "TA-173"] == ["pg_catalog.pg_c_utf8"]
