"""One schema there and back: drafted, edited, planned, migrated under a writer, verified, proved, rolled back, migrated again, cut over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from tenantry.access import roles_sql
from tenantry.catalog import Catalog, Table, read_catalog
from tenantry.manifest import load_manifest
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import EmbeddedServer, connect, ident
from tests.conftest import Database, fresh_database
from tests.corpus.load import FOLDER, CorpusSchema, load
from tests.corpus.run.edits import apply_edits, read_edits
from tests.corpus.run.source_writer import SourceWriter
from tests.corpus.run.states import Connection, State, compare, opened, own_tables, read_state
from tests.corpus.run.target_writer import TargetWriter
from tests.migrate_support import Said, cli

OWNER, APPLICATION = "corpus_owner", "corpus_app"
_DUAL, _AFTER = 25, 25


class WentWrong(AssertionError):
    """A schema that did not come through; the text says where."""


@dataclass
class Outcome:
    """A line of the table."""

    schema: str
    lines: int = 0
    rows: int = 0
    questions: int = 0
    left_out: int = 0
    seconds: float = 0.0
    findings: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    writes: dict[str, int] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)
    problem: str = ""
    folder: str = ""


def choices(corpus: CorpusSchema) -> list[str]:
    """What a person answers to init: who the tenants are, and who signs in."""
    tenant, users = corpus.answer.tenant, corpus.answer.users
    made = {
        "table": ["--tenant", tenant.table or ""],
        "person": ["--person"],
        "constant": ["--tenant", "constant"],
        "column": [
            "--tenant",
            next(
                (
                    f"{name}.{tenant.column}"
                    for name, each in corpus.answer.tables.items()
                    if each.path == (tenant.column,)
                ),
                "constant",
            ),
        ],
    }[tenant.form]
    return [*made, *(["--users", users.table] if users is not None else []), "--name", corpus.name]


def _column(corpus: CorpusSchema) -> str:
    """A column whose values are the tenants, with a table that has it."""
    name = corpus.answer.tenant.column
    return next((f"{table}.{name}" for table, each in corpus.answer.tables.items() if each.path == (name,)), "")


@dataclass
class Drive:
    corpus: CorpusSchema
    database: Database
    twin: Database
    folder: Path
    scale: float
    writes: int
    copy: bool
    again: bool
    outcome: Outcome

    def run(self) -> None:
        self.load()
        with ExitStack() as stack:
            self.admin = stack.enter_context(opened(self.database.dsn))
            self.mirror = stack.enter_context(opened(self.twin.dsn))
            self.app = stack.enter_context(opened(self.database.dsn_as(APPLICATION)))
            self.catalog = read_catalog(self.mirror, "public")
            self.tables = own_tables(self.catalog)
            self.digest = read_catalog(self.admin, "public").digest()
            self.draft()
            self.forward()
            self.dual()
            self.only_target()
            self.back()
            self.once_more()

    # -- setting up --------------------------------------------------------------------------------------------------

    def load(self) -> None:
        with self.database.connect() as admin:
            name = ident(self.database.name)
            for role in (OWNER, APPLICATION):
                admin.execute(
                    f"do $$ begin create role {role} login; exception when duplicate_object or unique_violation then null; end $$"
                )
            admin.execute(f"alter database {name} owner to {OWNER}".encode())
            admin.execute(f"alter database {name} set timezone = 'UTC'".encode())
            admin.execute("create extension if not exists plpgsql")
        with self.database.connect(user=OWNER) as owner:
            self.corpus.create(owner)
            self.corpus.fill(owner, self.scale)
            for what in ("tables", "sequences"):
                owner.execute(f"grant all on all {what} in schema public to {APPLICATION}")
        with psycopg.connect(self.database.server.dsn(), autocommit=True) as cluster:
            cluster.execute(f"drop database {ident(self.twin.name)} with (force)".encode())
            cluster.execute(
                f"create database {ident(self.twin.name)} template {ident(self.database.name)} strategy file_copy".encode()
            )

    def draft(self) -> None:
        drafted = self.command(
            "init", str(self.folder), *choices(self.corpus), "--json", manifest=False, codes=(0, 1)
        ).json
        hunks = read_edits(FOLDER / self.corpus.name / "edits.txt")
        self.outcome.lines = apply_edits(self.folder, hunks)
        self.outcome.questions, self.outcome.left_out = len(drafted["questions"]), len(drafted["left_out"])
        if not drafted["valid"] and not hunks:
            raise WentWrong(f"init: {drafted['problem']}")
        self.manifest = load_manifest(self.folder / "tenantry.toml")
        # Roles are the cluster's.
        with psycopg.connect(self.database.server.dsn(), autocommit=True) as lock, self.database.connect() as admin:
            lock.execute("select pg_advisory_lock(4711)")
            admin.execute(roles_sql(self.manifest, owner=OWNER, database=self.database.name))
        found = self.command("analyze", "--all", "--json", codes=(0, 1)).json
        for each in found["findings"]:
            self.outcome.findings[each["code"]] = self.outcome.findings.get(each["code"], 0) + 1
        blockers = [each for each in found["findings"] if each["severity"] == "blocker"]
        if blockers:
            raise WentWrong(f"analyze: {[(each['code'], each['table'], each['title']) for each in blockers]}")
        self.command("plan")
        self.passed("draft")

    # -- there -------------------------------------------------------------------------------------------------------

    def forward(self) -> None:
        self.began = (datetime.now(UTC) - timedelta(seconds=5)).strftime("%Y-%m-%d %H:%M")[:13]
        writer = SourceWriter(self.app, self.mirror, self.catalog, f"{self.corpus.name}/first")
        writer.write(5)
        writer.start()
        try:
            self.command("migrate")
        finally:
            writer.stop()
        writer.write(self.writes)
        self.outcome.writes = dict(writer.done)
        self.command("replay", "--until-idle", codes=(0, 1))
        self.verify()
        self.same("while the migration ran")
        self.passed("migrate")
        self.command("access", "apply", "--yes")
        self.command("access", "diff")
        self.command("prove")
        if self.copy:
            self.command("prove", "--copy", owner=False)
        self.passed("prove")

    def dual(self) -> None:
        """Both sides are written: the source its own rows, the target what it has."""
        self.cut_over("--dual-write", "1h")
        with self.service() as target, connect(self.database.dsn_as(OWNER)) as owner:
            project = prepare(owner, self.manifest).project
            source = SourceWriter(self.app, self.mirror, self.catalog, f"{self.corpus.name}/dual")
            source.write(_DUAL)
            self.command("replay", "--until-idle", codes=(0, 1))
            with self.silent():
                writer = TargetWriter(target, self.mirror, project, f"{self.corpus.name}/dual")
                writer.write(_DUAL)
                self.command("replay", "--until-idle", codes=(0, 1))
                self.problems("in the dual-write window", writer.settle_born(self.admin, self.began))
            self.verify()
            self.same("in the dual-write window")
        self.cut_over()
        probe = SourceWriter(self.app, self.mirror, self.catalog, "fence")
        probe.write(3)
        if not probe.fenced:
            raise WentWrong("the source can be written after the cut-over")
        self.passed("dual-write")

    def only_target(self) -> None:
        with self.service() as target, connect(self.database.dsn_as(OWNER)) as owner, self.silent():
            project = prepare(owner, self.manifest).project
            writer = TargetWriter(target, self.mirror, project, f"{self.corpus.name}/after")
            writer.write(_AFTER)
            for what, number in writer.done.items():
                self.outcome.writes[f"target {what}"] = self.outcome.writes.get(f"target {what}", 0) + number
            self.command("replay", "--until-idle", codes=(0, 1))
            self.verify()
            self.problems("after the cut-over", writer.settle_born(self.admin, self.began))
        row = self.admin.execute("select count(*) from tenantry.quarantine where state = 'open'").fetchone()
        self.outcome.quarantined = int(row[0]) if row else 0
        self.passed("cut over")

    def back(self) -> None:
        self.command("rollback", "--yes")
        self.same("after the rollback")
        source = SourceWriter(self.app, self.mirror, self.catalog, f"{self.corpus.name}/back")
        source.write(_AFTER)
        if source.fenced:
            raise WentWrong("the source cannot be written after the rollback")
        self.passed("rolled back")

    def once_more(self) -> None:
        if self.again:
            self.command("rollback", "--everything", "--yes")
            self.same("after the run was undone")
            if read_catalog(self.admin, "public").digest() != self.digest:
                raise WentWrong("after the run was undone the source's schema is not as it was")
            self.command("migrate")
        else:
            self.command("replay", "--until-idle", codes=(0, 1))
        self.cut_over()
        self.verify()
        self.same("at the second cut-over")
        self.outcome.rows = sum(len(rows) for rows in read_state(self.admin, self.tables).values())
        self.passed("again")

    # -- parts -------------------------------------------------------------------------------------------------------

    def passed(self, what: str) -> None:
        self.outcome.passed.append(what)

    def command(self, *arguments: str, codes: Sequence[int] = (0,), manifest: bool = True, owner: bool = True) -> Said:
        dsn = f"{self.database.dsn_as(OWNER)}" if owner else self.database.dsn
        here = ("--manifest", str(self.folder / "tenantry.toml")) if manifest else ()
        begun = time.monotonic()
        said = cli(*arguments, *here, "--dsn", dsn)
        took = time.monotonic() - begun
        log = self.folder.parent / f"{self.folder.name}.log"
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ tenantry {' '.join(arguments)}  # {said.code}, {took:.1f} s\n{said.out}{said.err}\n")
        if said.code not in codes or "TN-000" in said.everything or "Traceback" in said.everything:
            at = said.everything.find("TN-")
            raise WentWrong(
                f"tenantry {' '.join(arguments)}: exit code {said.code}: {said.everything[max(at, 0) :][:1500]}"
            )
        return said

    def cut_over(self, *options: str) -> None:
        """Exit code 1 says that rows written just before are in quarantine; the side has changed all the same."""
        said = self.command("cutover", "--accept-quarantined", *options, codes=(0, 1))
        if said.code and ("Applications" not in said.out or "in quarantine" not in said.everything):
            raise WentWrong(f"tenantry cutover: {said.everything[:1500]}")

    def verify(self) -> None:
        """Source and target agree. Rows that a writer of the source has just sent into the quarantine are stated, and no difference."""
        said = self.command("verify", "--json", codes=(0, 1)).json
        wrong = [each for each in said["missing"]["rows"] if "in quarantine" not in json.dumps(each)]
        if not said["passed"] or wrong:
            found = [difference for check in said["checks"] for difference in check["differences"]]
            raise WentWrong(f"verify: {len(found)} differences: {found[:3]}; missing: {wrong[:3]}")

    @contextmanager
    def service(self) -> Iterator[Connection]:
        """The new application, with the service's rights."""
        with opened(self.database.dsn) as connection:
            service = self.manifest.database_roles.service
            connection.execute(f"set session authorization {APPLICATION}")
            with self.database.connect() as admin:
                admin.execute(f"grant {ident(service)} to {APPLICATION}".encode())
            connection.execute(f"set role {ident(service)}".encode())
            yield connection

    @contextmanager
    def silent(self) -> Iterator[None]:
        """The twin's triggers sleep, as those of the source do for rows that are carried back."""
        named = [table for table in self.tables if table.triggers]
        for table in named:
            self.mirror.execute(f"alter table {ident('public', table.name)} disable trigger user".encode())
        yield
        for table in named:
            self.mirror.execute(f"alter table {ident('public', table.name)} enable trigger user".encode())

    def same(self, when: str) -> None:
        want, got = read_state(self.mirror, self.tables), read_state(self.admin, self.tables)
        self.problems(f"the source {when}", compare(self.tables, want, got, self.began))

    def problems(self, when: str, found: Sequence[str]) -> None:
        if found:
            raise WentWrong(f"{when}: {len(found)} differences: {'; '.join(found[:4])}")


def drive(
    server: EmbeddedServer,
    name: str,
    folder: Path,
    *,
    scale: float,
    writes: int = 30,
    copy: bool = False,
    again: bool = True,
) -> Outcome:
    """Take a schema through; what went wrong stands in the outcome."""
    outcome = Outcome(name, folder=str(folder))
    begun = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with fresh_database(server) as database, fresh_database(server) as twin:
        try:
            Drive(load(name), database, twin, folder, scale, writes, copy, again, outcome).run()
        except AssertionError as error:
            outcome.problem = str(error)
            _explain(database, folder)
        except psycopg.Error as error:
            outcome.problem = f"{type(error).__name__}: {error}"
    outcome.seconds = time.monotonic() - begun
    return outcome


def _explain(database: Database, folder: Path) -> None:
    """Write what the journal lists behind what the commands said."""
    lists = {
        "kept": "select table_name, legacy_id, column_name, reason from tenantry.kept",
        "conflict": "select table_name, legacy_id, direction, reason from tenantry.conflict",
        "quarantine": "select source_table, reason, detail, count(*) from tenantry.quarantine where state = 'open' group by 1, 2, 3",
    }
    with suppress(psycopg.Error), opened(database.dsn) as admin, folder.with_suffix(".log").open("a") as log:
        for name, query in lists.items():
            log.write(f"-- {name}\n")
            with suppress(psycopg.Error):
                for row in admin.execute(query.encode()).fetchall()[:200]:
                    log.write(f"{row}\n")


__all__ = ["Catalog", "Drive", "Outcome", "State", "Table", "drive"]
