"""A sample application is taken from one tenant to many, and a report shows what was done; `tenantry demo` calls it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import psycopg

from tenantry.access import make_roles, roles_sql
from tenantry.analyze import analyze, gather
from tenantry.errors import DemoMissing, nearest
from tenantry.manifest import load_manifest
from tenantry.migrate.run.engine import Migration, Options
from tenantry.migrate.session.observer import Observer
from tenantry.migrate.session.prepare import prepare
from tenantry.migrate.switch.cutover import cut_over
from tenantry.plan import read_environment
from tenantry.postgres import connect, with_parameters
from tenantry.prove import prove
from tenantry.prove.evidence import ProofOptions
from tenantry.prove.evidence import gather as gather_evidence
from tenantry.report.collect import Duration, RunResults, build_report
from tenantry.report.evidence import write_evidence
from tenantry.report.html import write_report
from tenantry.settings import DATA_FOLDER, Settings, command, database, recreate_database, remember_demo

GROUP = "tenantry.demo"
CLINIC = "tenantry-clinic"
_MARK = "made by tenantry demo: it may be dropped and made anew"


class DemoWatcher(Observer, Protocol):
    """Who is told how the demo is getting on; tenantry.cli.progress.Bars is one."""

    def count(self, name: str, done: int, total: int) -> None: ...


class Demo(Protocol):
    """What an application gives that wants to be shown; announced in the entry-point group tenantry.demo."""

    name: str
    manifest: Path

    def prepare_environment(self, folder: Path) -> None: ...

    def load(
        self,
        connection: psycopg.Connection[tuple[Any, ...]],
        *,
        clinics: int,
        values: int,
        seed: int,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Any: ...

    def compare(self, planted: Any, report: Mapping[str, Any]) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class DemoSize:
    clinics: int
    values: int
    seed: int


def find_demo(name: str | None) -> Demo:
    """The application of this name, or the only one.

    Raises:
        DemoMissing: none is installed, or not this one.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name is None and len(found) == 1:
        name = next(iter(found))
    if name not in found:
        near = nearest(name or "", list(found))
        raise DemoMissing(
            _missing(name, list(found)),
            hint=(f"Did you mean {near!r}? " if near else "")
            + f"`pip install 'tenantry[demo]'` installs Clinic, a sample application, as the distribution {CLINIC}; any application"
            f" can announce itself in the entry-point group {GROUP}.",
        )
    demo: Demo = found[name].load()
    return demo


def _missing(name: str | None, found: list[str]) -> str:
    if name:
        return f"There is no demo {name!r}."
    return f"There are {len(found)} demos, and none is named: {', '.join(found)}." if found else "No demo is installed."


def run_demo(
    settings: Settings, demo: Demo, size: DemoSize, *, out: Path, options: Options, watcher: DemoWatcher
) -> dict[str, Any]:
    """Create the sample database, analyze, plan, migrate, verify, cut over, prove, and write the report; returns it.

    On the embedded server the demo's database is recreated each time; on another server the source schema must be empty.
    """
    manifest = load_manifest(demo.manifest)
    demo.prepare_environment(settings.folder / DATA_FOLDER)
    remember_demo(settings, demo.manifest)
    durations: list[Duration] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        durations.append(Duration(name, round(time.monotonic() - begun, 2)))

    if settings.embedded:
        recreate_database(settings, manifest.name, _MARK)
    with database(settings, manifest.name) as dsn, connect(dsn, name="tenantry: demo") as connection:
        with stage("sample data"):
            watcher.notice(
                f"Creating the old {demo.name} database: {size.values:,} values, {size.clinics} clinics, seed {size.seed}."
            )
            planted = demo.load(
                connection, clinics=size.clinics, values=size.values, seed=size.seed, progress=watcher.count
            )
        environment = read_environment(connection)
        make_roles(connection, roles_sql(manifest, owner=environment.user, database=environment.database))
        with stage("analyze"):
            prepared = prepare(connection, manifest)
            evidence = gather(connection, prepared.project)
            findings = analyze(prepared.project, evidence)
        with stage("migrate"):
            outcome = Migration(dsn, manifest, options, watcher).run()
        with stage("cut over"):
            turned = cut_over(dsn, manifest, observer=watcher)
            watcher.notice(f"Cut over: write pause {turned.stall * 1000:.0f} ms.")
        with stage("prove"):
            login = with_parameters(dsn, user=manifest.database_roles.login, options="")
            proof = prove(prepared.project, owner_dsn=dsn, login_dsn=login, progress=watcher.count)
            proved = gather_evidence(
                prepared.project, owner_dsn=dsn, options=ProofOptions(("lint", "attacks"), notice=watcher.notice)
            )
            proved = replace(proved, matrix=replace(proof, checks=()), mode="over a login", left_out={})
        report = build_report(
            connection,
            prepared.project,
            plan=prepared.plan,
            results=RunResults(findings, outcome, proof.to_json(), durations),
            command_prefix=command(),
        )
        report["planted"] = demo.compare(planted, report)
        report["evidence"] = {
            "passed": proved.passed,
            "page": "proof.html",
            "summary": [{"part": line.part, "covered": line.total, **line.counts} for line in proved.covered()],
        }
        report["summary"].append(_isolation_line(report["evidence"], command()))
        write_report(report, out)
        write_evidence(proved, prepared.project, out / report["evidence"]["page"])
    return report


def _isolation_line(evidence: Mapping[str, Any], prefix: str) -> str:
    lines = {line["part"]: line for line in evidence["summary"]}
    lint, attacks = lines["lint"], lines["attacks"]
    failed = lint["failed"] + attacks["failed"]
    return (
        f"Isolation: {lint['covered']:,} checks of the catalog, and of the privileges that {attacks['passed']:,} attacks would need: "
        + ("no hole found" if not failed else f"{failed} FAILED")
        + f"; see {evidence['page']}. `{prefix} prove --copy` executes all {attacks['covered']:,} attacks on a copy."
    )
