"""One case on a server: there, back, and there again, compared with the oracle after each step."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from tenantry.access import roles_sql
from tenantry.manifest import load_manifest
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database
from tests.fuzz.data import TargetWriter, Transaction, Writer
from tests.fuzz.oracle import Back, Drawn, Expected, Forward, back
from tests.fuzz.spec import SELF_NUMBERED, Case, Row, Snapshot, Table, listed, quoted, text_of
from tests.migrate_support import Said, cli, shared_template

OWNER, MIGRATOR, APPLICATION = "fuzz_owner", "fuzz_mig", "fuzz_app"
Target = dict[str, dict[str, Row]]
"""Rows of the target by target table and legacy id."""


class Failure(AssertionError):
    """A case that does not come out as the oracle says."""


@dataclass
class Told:
    """What was done in a case: enough to do it again by hand."""

    lines: list[str] = field(default_factory=list)

    def command(self, *arguments: str) -> None:
        self.lines.append("tenantry " + shlex.join(arguments))

    def sql(self, statements: Sequence[str]) -> None:
        text = "; ".join(statements)
        self.lines.append(f'psql "$1" -c {shlex.quote(text)}')

    def remark(self, text: str) -> None:
        self.lines.append(f"# {text}")


@dataclass
class Drive:
    """A case in a database of its own."""

    case: Case
    database: Database
    folder: Path
    twin: Database
    writes: int = 12
    said: Told = field(default_factory=Told)
    seconds: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    readers: dict[str, psycopg.Connection[Any]] = field(default_factory=dict)
    numbers: dict[tuple[str, str], str] = field(default_factory=dict)

    # -- the whole of it ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.load()
        if hidden := [table.name for table in self.case.tables if table.forced]:
            self.expect_refusal(hidden)
            return
        self.command("analyze")
        self.write_source("first", during=lambda: self.command("migrate"))
        self.command("verify")
        self.compare_target(self.source(), self.target(), "before the cut-over")
        root = self.case.table(self.case.root)
        if self.target()[root.target]:
            self.refused(self.case.target, root.target)
        self.write_source("second")
        self.command("replay", "--until-idle")
        source = self.source()
        self.compare_target(source, self.target(), "after a replay")
        self.command("cutover", "--accept-quarantined")
        target = self.target()
        self.compare_target(source, target, "at the cut-over")
        if source[root.name]:
            self.refused(self.case.source, root.name)
        after = self.write_target("third")
        self.command("verify", codes=(0, 1))  # carries the changes back
        expected = back(self.case, source, target, after, self.drawn())
        # A row that could not go back is a difference until somebody has looked at it.
        self.command("verify", codes=(1,) if expected.blocked else (0,))
        self.compare_source(expected, "after the way back")
        self.same(after, self.target(), "the target after its changes were carried back")
        self.command("rollback", "--yes")
        self.compare_source(expected, "after the rollback")
        if after[root.target]:
            self.refused(self.case.target, root.target)
        self.refill_twin()
        self.write_source("fourth")
        self.command("cutover", "--accept-quarantined")
        source = self.source()
        self.compare_target(source, self.target(), "at the second cut-over", kept=after)
        self.command("rollback", "--everything", "--yes")
        if self.source() != source:
            raise Failure(f"the source is not as it was: {differences(source, self.source())}")
        self.compare_leftovers()

    def expect_refusal(self, hidden: Sequence[str]) -> None:
        """Rows that the login cannot see are no rows to be carried over without a word."""
        found = self.command("analyze", "--json", codes=(0, 1)).json["findings"]
        named = {each["table"] for each in found if each["code"] == "TA-120" and each["severity"] == "blocker"}
        with self.database.connect() as admin:
            query = "select format('%%I.%%I', %s::text, n.name) from unnest(%s::text[]) n (name)"
            tables = {name for (name,) in admin.execute(query, [self.case.source, list(hidden)])}
        if not named >= tables:
            raise Failure(f"analyze has blockers for {named}, not for all of {tables}")
        said = self.command("migrate", codes=(2,))
        if not any(code in said.everything for code in ("TN-216", "TN-218")):
            raise Failure(f"migrate refuses, but not for the rows that it cannot see: {_said(said)}")
        self.compare_leftovers()

    # -- setting up --------------------------------------------------------------------------------------------------

    def load(self) -> None:
        text = self.case.source_sql()
        rows = Writer(self.case, Random(f"{self.case.seed}/rows"), "a").load()
        (self.folder / "source.sql").write_text(text + "".join(f"{row};\n" for row in rows), encoding="utf-8")
        (self.folder / "target.sql").write_text(self.case.target_sql(), encoding="utf-8")
        (self.folder / "tenantry.toml").write_text(self.case.manifest(), encoding="utf-8")
        for database in (self.database, self.twin):
            with database.connect() as admin:
                admin.execute(f"alter database {database.name} owner to {OWNER}")
                admin.execute(f"alter database {database.name} set timezone = 'UTC'")
            with database.connect(user=OWNER) as owner:
                owner.execute(text.encode())
                for row in rows:
                    self._try(owner, (row,))
        manifest = load_manifest(self.folder / "tenantry.toml")
        with psycopg.connect(self.database.server.dsn(), autocommit=True) as lock, self.database.connect() as admin:
            lock.execute("select pg_advisory_lock(4711)")
            admin.execute(roles_sql(manifest, owner=OWNER, database=self.database.name))
        with self.database.connect() as admin:
            self.before = catalog(admin, self.case.source)

    @staticmethod
    def _try(connection: psycopg.Connection[Any], statements: Sequence[str]) -> tuple[object, ...]:
        """The number of rows of each statement, or the error's class."""
        try:
            with connection.transaction():
                return tuple(connection.execute(statement.encode()).rowcount for statement in statements)
        except psycopg.Error as error:
            return (error.sqlstate, str(error).split("\n", maxsplit=1)[0])

    # -- commands ----------------------------------------------------------------------------------------------------

    def command(self, *arguments: str, codes: Sequence[int] = (0,)) -> Said:
        self.said.command(*arguments)
        begun = time.monotonic()
        environment = {
            "TENANTRY_DSN": f"{self.database.dsn_as(MIGRATOR)} options='-c role={OWNER}'",
            "TENANTRY_MANIFEST": str(self.folder / "tenantry.toml"),
        }
        said = cli(*arguments, environment=environment)
        name = " ".join(arguments)
        self.seconds[name] = self.seconds.get(name, 0) + time.monotonic() - begun
        if said.code not in codes or "TN-000" in said.everything or "Traceback" in said.everything:
            raise Failure(
                f"after {len(self.said.lines)} lines, tenantry {name}: exit code {said.code}, expected {list(codes)}: {_said(said)}"
            )
        return said

    # -- writing -----------------------------------------------------------------------------------------------------

    def write_source(self, label: str, during: Any = None) -> None:
        """Write the twin, then the source: each statement must have the same outcome on both.

        Args:
            during: is called while the source is written.
        """
        writer = Writer(self.case, Random(f"{self.case.seed}/{label}"), label[:2])
        planned: list[tuple[Transaction, tuple[object, ...]]] = []
        with self.twin.connect(user=OWNER) as connection:
            for _ in range(self.writes):
                statements = writer.transaction(self.rows_of(self.twin))
                planned.append((statements, self._try(connection, statements)))
        problems: list[str] = []

        def write() -> None:
            with application(self.database) as connection:
                for statements, wanted in planned:
                    got = self._try(connection, statements)
                    self.outcomes["ok" if wanted and isinstance(wanted[0], int) else "refused"] = (
                        self.outcomes.get("ok" if wanted and isinstance(wanted[0], int) else "refused", 0) + 1
                    )
                    if got != wanted:
                        problems.append(f"{'; '.join(statements)}: {got}, without Tenantry {wanted}")

        for statements, _ in planned:
            self.said.sql(statements)
        if during is None:
            write()
        else:
            thread = threading.Thread(target=write)
            thread.start()
            try:
                during()
            finally:
                thread.join()
        if problems:
            raise Failure(f"{len(problems)} writes of the source had another outcome: {problems[0]}")
        twin, now = self.rows_of(self.twin), self.source()
        if twin != now:
            raise Failure(f"the source is not what was written: {differences(twin, now)}")

    def write_target(self, label: str) -> Target:
        writer = TargetWriter(self.case, Random(f"{self.case.seed}/{label}"), label[:2])
        with application(self.database) as connection:
            for _ in range(self.writes):
                statements = writer.transaction(self.target())
                if not statements:
                    continue
                self.said.sql(statements)
                got = self._try(connection, statements)
                if got and isinstance(got[0], str) and got[0][:2] != "23" and got[0] != "0A000":
                    raise Failure(f"a write of the target is refused: {'; '.join(statements)}: {got}")
        return self.target()

    def refused(self, schema: str, table: str) -> None:
        """The side that is not written refuses everybody, its owner too."""
        name = self.case.table(self.case.root).columns[0].name if schema == self.case.source else "legacy_id"
        statement = f"update {quoted(schema, table)} set {quoted(name)} = {quoted(name)}"
        with application(self.database) as connection:
            got = self._try(connection, (statement,))
        if got[0] not in ("25006", "42501"):
            raise Failure(f"a write of the side that follows is not refused: {schema}.{table}: {got}")

    def refill_twin(self) -> None:
        """The twin holds what the source holds, and goes on with the same numbers."""
        state = self.source()
        with self.twin.connect() as admin, self.database.connect() as real, admin.transaction():
            admin.execute("set local session_replication_role = replica")
            for table in self.case.tables:
                name = quoted(self.case.source, table.name)
                admin.execute(f"truncate {name} cascade".encode())
            for table in self.case.tables:
                name = quoted(self.case.source, table.name)
                computed = {column.name for column in table.columns if column.kind.fixed}
                names = [each for each in table.names() if each not in computed]
                for row in state[table.name]:
                    values = ", ".join(text_of(row[each]) for each in names)
                    admin.execute(
                        f"insert into {name} ({listed(names)}) overriding system value values ({values})".encode()
                    )
                counted = [*(table.key if table.form in SELF_NUMBERED else ())]
                counted += [column.name for column in table.columns if column.kind.server and not column.kind.fixed]
                for each in counted:
                    self._same_sequence(admin, real, table, each)

    def _same_sequence(
        self, admin: psycopg.Connection[Any], real: psycopg.Connection[Any], table: Table, column: str
    ) -> None:
        found = real.execute(
            "select pg_get_serial_sequence(%s, %s)", [quoted(self.case.source, table.name), column]
        ).fetchone()
        assert found is not None
        state = real.execute(f"select last_value, is_called from {found[0]}".encode()).fetchone()
        assert state is not None
        admin.execute("select setval(%s::regclass, %s, %s)", [found[0], *state])

    # -- reading -----------------------------------------------------------------------------------------------------

    def rows_of(self, database: Database) -> Snapshot:
        connection = self._reader(database)
        return {
            table.name: texts(connection, quoted(self.case.source, table.name), table.names(), table.key)
            for table in self.case.tables
        }

    def _reader(self, database: Database) -> psycopg.Connection[Any]:
        if database.name not in self.readers:
            self.readers[database.name] = database.connect()
        return self.readers[database.name]

    def source(self) -> Snapshot:
        return self.rows_of(self.database)

    def target(self) -> Target:
        made: Target = {}
        connection = self._reader(self.database)
        for table in self.case.tables:
            names = table.target_names(self.case.tenant)
            if table.name == self.case.people and self.case.users:
                names = [*names, self.case.account]
            rows = texts(connection, quoted(self.case.target, table.target), names, ("legacy_id",))
            made[table.target] = {str(row["legacy_id"]): row for row in rows}
            if len(made[table.target]) != len(rows):
                raise Failure(f"{table.target} holds an old id twice")
        return made

    def listed(self, query: str) -> set[tuple[str, ...]]:
        return {tuple(map(str, row)) for row in self._reader(self.database).execute(query.encode())}

    # -- comparing ---------------------------------------------------------------------------------------------------

    def compare_target(self, source: Snapshot, target: Target, when: str, kept: Target | None = None) -> None:
        """Target and quarantine are what the oracle makes of the source.

        Args:
            kept: the target as it was written before a rollback: what `tenantry.kept` lists may be as it was then.
        """
        expected = Forward(self.case, source).expected()
        lists = self.listed("select table_name, legacy_id, column_name from tenantry.kept") if kept else set()
        # A row of the target alone lets go of one that the source deletes.
        changed = self.listed("select table_name, legacy_id from tenantry.conflict where direction = 'forward'")
        served = {
            (table.name, key)
            for table in self.case.tables
            for key, row in target[table.target].items()
            if kept
            and row == kept[table.target].get(key)
            and key in expected[table.name].quarantined
            and (
                "parent_quarantined" in expected[table.name].quarantined[key]
                or any(each[:2] == (table.target, key) for each in lists)
            )
        }
        self._compare_quarantine(expected, when, served)
        problems = []
        for table in self.case.tables:
            want, got = expected[table.name].rows, target[table.target]
            for key in want.keys() | got.keys():
                if want.get(key) == got.get(key):
                    continue
                before = (kept or {}).get(table.target, {}).get(key)
                if ((table.target, key, "") in lists or (table.name, key) in served) and (
                    got.get(key) == before or (table.target, key) in changed
                ):
                    continue
                if key not in want or key not in got:
                    problems.append(f"{table.target} {key!r}: expected {want.get(key)}, found {got.get(key)}")
                    continue
                for name, value in want[key].items():
                    excused = (table.target, key, name) in lists and before and before[name] == got[key][name]
                    if value != got[key][name] and not excused:
                        problems.append(f"{table.target} {key!r}.{name}: expected {value!r}, found {got[key][name]!r}")
        if problems:
            raise Failure(f"{when}, {len(problems)} differences of the target: {'; '.join(problems[:5])}")

    def _compare_quarantine(
        self, expected: Mapping[str, Expected], when: str, served: Collection[tuple[str, str]]
    ) -> None:
        """`served`: (source table, key) of rows that nobody wrote again behind the way back, and that stand in the target with what has
        no source form: from the source alone they could not be made."""
        found: dict[str, dict[str, str]] = {table.name: {} for table in self.case.tables}
        for name, key, reason in self.listed(
            "select source_table, source_key, reason from tenantry.quarantine where state = 'open'"
        ):
            found[name][key] = reason
        for table in self.case.tables:
            got = found[table.name]
            want = {
                key: reasons
                for key, reasons in expected[table.name].quarantined.items()
                if key in got or (table.name, key) not in served
            }
            if want.keys() != got.keys():
                missing = {key: want[key] for key in want.keys() - got.keys()}
                more = {key: got[key] for key in got.keys() - want.keys()}
                raise Failure(f"{when}, quarantine of {table.name}: not in it {missing}, not expected {more}")
            for key, reason in got.items():
                # Which of the two it is was true when the row was last derived: its parent may have gone since.
                absent = {"reference_missing", "parent_quarantined"}
                # Of a parent in a circle its own tenant is asked for.
                absent |= {"tenant_missing"} if "parent_quarantined" in want[key] else set()
                if reason not in want[key] and not (reason in absent and want[key] & absent):
                    raise Failure(f"{when}, quarantine of {table.name} {key!r}: {reason}, expected one of {want[key]}")

    def drawn(self) -> Drawn:
        """The numbers of the source's sequences that rows got which were made in the target."""
        numbered = {table.target: table.name for table in self.case.tables if len(table.key) == 1}
        found = self.listed("select mapping, source_key, legacy_id from tenantry.born_part")
        # The journal forgets them once the rows are the source's.
        self.numbers |= {(numbered[target], key): legacy for target, key, legacy in found if target in numbered}
        return self.numbers

    def compare_source(self, expected: Back, when: str) -> None:
        kept = self.listed("select table_name, legacy_id, column_name from tenantry.kept")
        conflicts = self.listed("select table_name, legacy_id from tenantry.conflict")
        problems = []
        source, drawn = self.source(), self.drawn()
        for table in self.case.tables:
            want = expected.rows[table.name]
            got = {drawn.get((table.name, table.key_text(row)), table.key_text(row)): row for row in source[table.name]}
            for name, key, column in expected.unknown:
                if name == table.name and key in want and key in got:
                    want[key][column] = got[key][column]
            problems += [
                f"{table.name} {key!r}: expected {want.get(key)}, found {got.get(key)}"
                for key in want.keys() | got.keys()
                if want.get(key) != got.get(key)
                and (table.target, key) not in conflicts
                and not (key in want and any((table.target, key) == each[:2] for each in expected.either))
            ]
        # What a row of the target alone held is listed as lost where the source's row took its place behind a rollback.
        replayed = self.listed("select table_name, legacy_id from tenantry.conflict where direction = 'forward'")
        stays = {each for each in expected.stays if each[:2] not in replayed}
        problems += [f"{each} is not in tenantry.kept" for each in sorted(stays - kept)]
        rows = {(name, key) for name, key, column in kept if not column}
        problems += [f"{each} is not in tenantry.kept" for each in sorted(expected.only_target - rows)]
        # A change that the source refuses is a conflict of the whole row; and a row keeps its tenant when all that leads there is gone.
        more = {
            each
            for each in kept
            if each[2] not in ("", self.case.tenant)
            and each not in expected.stays | expected.either | expected.named
            and each[:2] not in conflicts
        }
        problems += [f"{each} is in tenantry.kept without need" for each in sorted(more)]
        held = {(self.case.table(name).target, key) for name, key in expected.blocked}
        problems += [f"{each} is not in tenantry.conflict" for each in sorted(held - conflicts)]
        if problems:
            raise Failure(f"{when}, {len(problems)} differences of the source: {'; '.join(problems[:5])}")

    def same(self, want: Target, got: Target, what: str) -> None:
        if want != got:
            flat = [{name: list(rows.values()) for name, rows in each.items()} for each in (want, got)]
            raise Failure(f"{what} is not as it was: {differences(*flat)}")

    def compare_leftovers(self) -> None:
        with self.database.connect() as admin:
            after = catalog(admin, self.case.source)
            schemas = {
                str(name)
                for (name,) in admin.execute(
                    "select nspname from pg_namespace where nspname in ('tenantry', %s)", [self.case.target]
                )
            }
        if after != self.before:
            gone, come = sorted(self.before - after), sorted(after - self.before)
            raise Failure(f"the source's schema is not as it was: gone {gone[:5]}, come {come[:5]}")
        if schemas:
            raise Failure(f"left behind: {schemas}")

    # -- to do it again ----------------------------------------------------------------------------------------------

    def write_script(self, why: str) -> None:
        lines = [
            "#!/usr/bin/env bash",
            "# $1: connection string of the application, a login that acts as the owner of the tables.",
            "# TENANTRY_DSN: the migrator's. " + " ".join(why.split())[:300],
            "set -x",
            *self.said.lines,
        ]
        (self.folder / "run.sh").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _said(said: Said) -> str:
    """What a command said in the end: its error, or all of it."""
    at = said.everything.find("TN-")
    return said.everything[at : at + 1200] if at >= 0 else said.everything[-3000:]


# -- helpers -------------------------------------------------------------------------------------------------------------


def texts(connection: psycopg.Connection[Any], table: str, names: Sequence[str], key: Sequence[str]) -> list[Row]:
    """A table's rows as PostgreSQL prints them, in the order of the keys' texts."""
    columns = ", ".join(f"(z.{quoted(name)})::text" for name in names)
    order = ", ".join(f'(z.{quoted(name)})::text collate "C"' for name in key)
    query = f"select {columns} from {table} z order by {order}"
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query.encode())]


def catalog(connection: psycopg.Connection[Any], schema: str) -> set[str]:
    """What a schema holds, as the catalog says it: for a comparison of before and afterwards."""
    parts = """
        select 'table', c.relname, concat_ws(' ', c.relkind, c.relreplident, c.relrowsecurity, c.relforcerowsecurity, c.relacl)
          from pg_class c where c.relnamespace = n.oid
        union all select 'column', c.relname, concat_ws(' ', a.attname, a.atttypid::regtype,
                a.attnotnull, a.attidentity, a.attgenerated, a.attacl)
          from pg_class c join pg_attribute a on a.attrelid = c.oid where c.relnamespace = n.oid and c.relkind in ('r', 'p') and a.attnum > 0
        union all select 'trigger', c.relname, concat_ws(' ', t.tgname, t.tgenabled, pg_get_triggerdef(t.oid))
          from pg_class c join pg_trigger t on t.tgrelid = c.oid where c.relnamespace = n.oid and not t.tgisinternal
        union all select 'constraint', c.relname, concat_ws(' ', k.conname, k.convalidated, pg_get_constraintdef(k.oid))
          from pg_class c join pg_constraint k on k.conrelid = c.oid where c.relnamespace = n.oid
        union all select 'policy', c.relname, p::text from pg_class c join pg_policies p on p.tablename = c.relname and p.schemaname = n.nspname
          where c.relnamespace = n.oid
        union all select 'rule', c.relname, pg_get_ruledef(r.oid) from pg_class c join pg_rewrite r on r.ev_class = c.oid where c.relnamespace = n.oid
        union all select 'function', p.proname, p.prosrc from pg_proc p where p.pronamespace = n.oid
    """
    return {
        " ".join(map(str, row))
        for row in connection.execute(
            f"select x.* from pg_namespace n cross join lateral ({parts}) x where n.nspname = %s".encode(), [schema]
        )
    }


def differences(want: Snapshot, got: Snapshot) -> str:
    found = []
    for name in want.keys() | got.keys():
        here, there = want.get(name, []), got.get(name, [])
        found += [f"{name}: only expected {row}" for row in here if row not in there][:3]
        found += [f"{name}: only found {row}" for row in there if row not in here][:3]
    return "; ".join(found)[:3000]


@contextmanager
def application(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """An application that acts as the owner of its tables."""
    with psycopg.connect(f"{database.dsn_as(APPLICATION)} options='-c role={OWNER}'", autocommit=True) as connection:
        yield connection


def _roles(database: Database) -> None:
    with database.connect() as admin:
        admin.execute("select pg_advisory_lock(4712)")
        for role in (OWNER, MIGRATOR, APPLICATION):
            admin.execute(
                f"do $$ begin if to_regrole('{role}') is null then create role {role} login; end if; end $$".encode()
            )
        admin.execute(f"grant {OWNER} to {MIGRATOR}, {APPLICATION}")
        admin.execute(f"alter schema public owner to {OWNER}")


def drive(server: EmbeddedServer, case: Case, folder: Path, *, writes: int = 12) -> Drive:
    """Take a case there, back and there again.

    Raises:
        Failure: with what differs; the folder then holds all that is needed to do it again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    template = shared_template(server, "fuzz_base", _roles)
    with fresh_database(server, template) as database, fresh_database(server, template) as twin:
        made = Drive(case, database, folder, twin, writes)
        try:
            made.run()
        except Exception as error:
            made.write_script(str(error))
            raise
        finally:
            for reader in made.readers.values():
                reader.close()
        return made
