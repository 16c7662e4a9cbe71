"""The proof as items of pytest: `pytest --tenantry` has one for each check of the lint, each table of the access matrix, and each
right that an attack needs. docs/how-to/test-isolation.md says how it is used.

pytest loads this by itself where Tenantry is installed; the rest of Tenantry is loaded when something of it is asked for.

With pytest-xdist every worker collects the same items, and whichever comes first computes the results of a kind, once for all: it
holds an advisory lock of the database meanwhile, which goes with its connection, and leaves them in a folder of the session.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

# Most runs of pytest ask for nothing of this, and do not wait for what it needs.
if TYPE_CHECKING:
    from tenantry.manifest import Manifest
    from tenantry.mapping import Project
    from tenantry.prove.test_items import Kind, Verdict, Verdicts

_KINDS: tuple[Kind, ...] = ("lint", "matrix", "rights")
_NODE = "tenantry"
_NOTE = "tenantry"
"""Property of a report, and of a case in JUnit XML, under which a note is kept."""

_WITHOUT = "manifest"
"""The one item of a kind that needs a manifest, where there is none."""

_LOCK = 7304871220353
"""Key of the advisory lock that keeps the workers of sessions on one database apart; the proof has another."""
_LONGEST_WAIT = 1800.0
"""Seconds for which another session's work on this database is waited for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tenantry", "isolation of tenants")
    group.addoption(
        "--tenantry", action="store_true", help="Prove that the database keeps its tenants apart: lint, matrix, rights."
    )
    group.addoption(
        "--tenantry-dsn",
        metavar="DSN",
        help="Connection string of the tables' owner; else TENANTRY_DSN, else the ini's.",
    )
    group.addoption(
        "--tenantry-manifest",
        metavar="PATH",
        help="The manifest; else TENANTRY_MANIFEST, else the ini's, else tenantry.toml.",
    )
    parser.addini("tenantry_checks", "Kinds of checks to run: lint, matrix, rights.", type="args", default=[])
    parser.addini("tenantry_dsn", "Connection string of the tables' owner.", default="")
    parser.addini("tenantry_manifest", "Path of the manifest, from the project's root.", default="")


# -- what is asked for ---------------------------------------------------------------------------------------------------


@dataclass
class _Setup:
    """What the options say, for one session.

    Attributes:
        kinds: of checks that are collected.
        only: node ids that were named on the command line; empty: all.
        items: kind and name of each.
        folder: where the workers of this session leave results for each other; None where nothing is collected.
    """

    kinds: tuple[Kind, ...]
    only: tuple[str, ...]
    dsn: str
    dsn_from: str
    manifest: Path | None
    items: tuple[tuple[Kind, str], ...] = ()
    folder: Path | None = None
    own_folder: bool = False
    results: dict[str, Verdicts] = field(default_factory=dict)


_SETUP = pytest.StashKey[_Setup]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "tenantry: a check that tenants are kept apart, collected by Tenantry.")
    only = _take_nodes(config)
    setup = _Setup(_kinds(config, only), only, *_dsn(config), _manifest_path(config))
    config.stash[_SETUP] = setup
    if not setup.kinds:
        return
    setup.items = _items(setup, _manifest(setup))
    if not setup.dsn and (config.option.tenantry or only):
        raise pytest.UsageError(f"tenantry: {_NO_DSN}")
    given = getattr(config, "workerinput", {}).get("tenantry_folder")
    shared = given is not None and Path(given).is_dir()  # not so for a worker on another machine
    setup.own_folder = not shared
    setup.folder = Path(str(given)) if shared else Path(tempfile.mkdtemp(prefix="tenantry-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    setup = config.stash.get(_SETUP, None)
    if setup is not None and setup.folder is not None and setup.own_folder:
        shutil.rmtree(setup.folder, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of xdist: its workers share the folder of results."""
    folder = node.config.stash[_SETUP].folder
    node.workerinput["tenantry_folder"] = None if folder is None else str(folder)


def pytest_report_header(config: pytest.Config) -> list[str]:
    setup = config.stash[_SETUP]
    if not setup.kinds:
        return []
    from tenantry.postgres import describe_dsn

    where = f"{describe_dsn(setup.dsn)} ({setup.dsn_from})" if setup.dsn else "no database"
    return [f"tenantry: {', '.join(setup.kinds)} of {where}; manifest: {setup.manifest or 'none'}"]


_NO_DSN = "no database is named: give --tenantry-dsn, TENANTRY_DSN, or tenantry_dsn in the ini."
_NO_MANIFEST = "no manifest says who may do what: give --tenantry-manifest, TENANTRY_MANIFEST, tenantry_manifest in the ini, or a tenantry.toml"


def _take_nodes(config: pytest.Config) -> tuple[str, ...]:
    """Nodes of ours among the arguments, which pytest would take for files."""
    mine = [each for each in config.args if each.partition("@")[0].startswith(f"{_NODE}::")]
    if mine:
        config.args[:] = [each for each in config.args if each not in mine]
    return tuple(each.partition("@")[0] for each in mine)


def _kinds(config: pytest.Config, only: tuple[str, ...]) -> tuple[Kind, ...]:
    """--tenantry turns on those of the ini, or all; the ini alone does for runs of everything, not of files that were named."""
    named = list(config.getini("tenantry_checks"))
    unknown = [name for name in named if name not in _KINDS]
    if unknown:
        raise pytest.UsageError(f"tenantry_checks: {', '.join(unknown)}: there are {', '.join(_KINDS)}.")
    if only:
        return tuple(kind for kind in _KINDS if any(each.split("::")[1] == kind for each in only)) or _KINDS
    if config.option.tenantry:
        return tuple(kind for kind in _KINDS if not named or kind in named)
    if config.args_source == pytest.Config.ArgsSource.ARGS:
        return ()
    return tuple(kind for kind in _KINDS if kind in named)


def _dsn(config: pytest.Config) -> tuple[str, str]:
    """The connection string, and what named it."""
    for dsn, named in (
        (config.option.tenantry_dsn, "--tenantry-dsn"),
        (os.environ.get("TENANTRY_DSN"), "TENANTRY_DSN"),
        (config.getini("tenantry_dsn"), "tenantry_dsn"),
    ):
        if dsn:
            return str(dsn), named
    return "", ""


def _manifest_path(config: pytest.Config) -> Path | None:
    for path, folder in (
        (config.option.tenantry_manifest, config.invocation_params.dir),
        (os.environ.get("TENANTRY_MANIFEST"), config.invocation_params.dir),
        (config.getini("tenantry_manifest"), config.rootpath),
    ):
        if path:
            return Path(folder, path)
    usual = config.rootpath / "tenantry.toml"
    return usual if usual.exists() else None


# -- items ---------------------------------------------------------------------------------------------------------------


class _Failed(Exception):
    """A check does not hold; the text says where."""


class Root(pytest.Collector):
    """All checks."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        return [Checks.from_parent(self, name=kind) for kind in self.config.stash[_SETUP].kinds]


class Checks(pytest.Collector):
    """The checks of a kind."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        setup = self.config.stash[_SETUP]
        return [CheckItem.from_parent(self, name=name) for kind, name in setup.items if kind == self.name]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The checks belong to no file: they come after what the session finds."""
    report = yield
    if isinstance(collector, pytest.Session) and collector.config.stash[_SETUP].items:
        report.result.append(Root.from_parent(collector, name=_NODE, nodeid=_NODE))
    return report


class CheckItem(pytest.Item):
    """One check of the lint, one table of the matrix, or one right that an attack needs."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        assert self.parent is not None
        self.kind: Kind = self.parent.name  # type: ignore[assignment]  # it is named so
        self.add_marker("tenantry")
        if self.config.pluginmanager.has_plugin("xdist"):
            # With --dist loadgroup one worker has them all, and no other waits for it.
            self.add_marker(pytest.mark.xdist_group(f"{_NODE}-{self.kind}"))

    def runtest(self) -> None:
        setup = self.config.stash[_SETUP]
        if self.name == _WITHOUT:
            pytest.skip(_NO_MANIFEST)
        if not setup.dsn:
            pytest.skip(_NO_DSN)
        verdict = self._verdict(setup)
        self.user_properties += [(_NOTE, note) for note in verdict.notes]
        if verdict.outcome == "skipped":
            pytest.skip(verdict.message)
        if verdict.outcome == "failed":
            raise _Failed(verdict.message)

    def _verdict(self, setup: _Setup) -> Verdict:
        if self.kind not in setup.results:
            tables = sorted(
                each.name for each in self.session.items if isinstance(each, CheckItem) and each.kind == "matrix"
            )
            setup.results[self.kind] = _shared(setup, self.kind, tables)
        return setup.results[self.kind][self.name]

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, _Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{_NODE} {self.kind}: {self.name}"


def _items(setup: _Setup, manifest: Manifest | None) -> tuple[tuple[Kind, str], ...]:
    """Kind and name of each, in their order, which every worker of xdist finds the same.

    Raises:
        pytest.UsageError: a node was named that does not exist.
    """
    from tenantry.prove.test_items import names

    found = [(kind, name) for kind in setup.kinds for name in names(kind, manifest) or (_WITHOUT,)]
    for each in setup.only:
        if not any(_is_named(kind, name, (each,)) for kind, name in found):
            raise pytest.UsageError(f"not found: {each}")
    return tuple(item for item in found if not setup.only or _is_named(*item, setup.only))


def _is_named(kind: str, name: str, named: tuple[str, ...]) -> bool:
    return any(each in (f"{_NODE}::{kind}", f"{_NODE}::{kind}::{name}") for each in named)


def _manifest(setup: _Setup) -> Manifest | None:
    from tenantry.errors import TenantryError
    from tenantry.manifest import load_manifest

    if setup.manifest is None:
        return None
    try:
        return load_manifest(setup.manifest)
    except TenantryError as error:
        raise pytest.UsageError(_said(error)) from None


# -- results, once for a session -----------------------------------------------------------------------------------------


def _shared(setup: _Setup, kind: Kind, tables: list[str]) -> Verdicts:
    """The verdicts of a kind: computed here, or by another worker before.

    Raises:
        _Failed: they could not be found out; here or there, and the reason is the same for all.
    """
    from tenantry.errors import TenantryError
    from tenantry.prove.test_items import as_json, from_json

    assert setup.folder is not None
    kept = setup.folder / f"{kind}.json"
    found: dict[str, Any]
    try:
        with _alone(setup.dsn):
            if kept.exists():
                found = json.loads(kept.read_text(encoding="utf-8"))
            else:
                try:
                    found = {"verdicts": as_json(_compute(setup, kind, tables))}
                except TenantryError as error:
                    found = {"error": _said(error)}
                written = kept.with_suffix(f".{os.getpid()}")
                written.write_text(json.dumps(found), encoding="utf-8")
                written.replace(kept)
    except TenantryError as error:
        raise _Failed(_said(error)) from None
    if "error" in found:
        raise _Failed(found["error"])
    return from_json(found["verdicts"])


def _said(error: Any) -> str:
    return f"{error.code}: {error.message}" + (f"\n{error.hint}" if error.hint else "")


@contextmanager
def _alone(dsn: str) -> Iterator[None]:
    """One process at a time; should it be killed, the lock goes with its connection."""
    from tenantry.errors import RunInProgress
    from tenantry.postgres import connect

    with connect(dsn, name="tenantry pytest") as connection:
        end = time.monotonic() + _LONGEST_WAIT
        while connection.execute("select pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
            if time.monotonic() > end:
                raise RunInProgress(
                    "Another session of pytest has been proving this database for very long.",
                    hint="End it. Its lock ends with its connection.",
                )
            time.sleep(0.1)
        yield


def _compute(setup: _Setup, kind: Kind, tables: list[str]) -> Verdicts:
    import psycopg

    from tenantry.migrate.apply_access import has_writes
    from tenantry.postgres import connect, explain
    from tenantry.prove import test_items as verdicts
    from tenantry.prove.attacks import ask_rights
    from tenantry.prove.attacks.harness.accepted import INHERENT
    from tenantry.prove.evidence import accepted_attacks, accepted_cells, lint_exceptions
    from tenantry.prove.lint.run import find_exceptions, run_lint
    from tenantry.prove.matrix.prove import prove
    from tenantry.testing import read_project

    manifest = _manifest(setup)
    exceptions = find_exceptions(Path.cwd() if manifest is None else manifest.folder)
    with connect(setup.dsn, name="tenantry pytest") as connection:
        try:
            if kind == "lint":
                return verdicts.of_lint(run_lint(connection, manifest=manifest, exceptions=lint_exceptions(exceptions)))
            assert manifest is not None
            project = read_project(connection, manifest)
            if kind == "rights":
                accepted = {**INHERENT, **accepted_attacks(exceptions)}
                return verdicts.of_rights(ask_rights(connection, project, accepted=accepted))
            writes = has_writes(connection)
        except psycopg.Error as error:
            raise explain(error, f"looking at the {kind}") from None
    proof = prove(project, owner_dsn=setup.dsn, login_dsn=None, writes=writes, tables=tables)
    return verdicts.of_matrix(proof, tables, accepted_cells(proof, exceptions))


# -- the end of the output -----------------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Warnings, exceptions and what could not be tried, of checks that passed as well."""
    setup = config.stash[_SETUP]
    lines = [
        f"{report.nodeid.partition('@')[0]}: {note}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for key, note in report.user_properties
        if key == _NOTE and report.nodeid.startswith(f"{_NODE}::")
    ]
    if "rights" in setup.kinds and setup.manifest is not None:
        from tenantry.prove.attacks import ATTACKS

        silent = sum(each.rights is None for each in ATTACKS)
        lines.append(
            f"{silent} of {len(ATTACKS)} attacks are tried on a copy only: the catalog knows no answer to them."
        )
    if lines:
        terminalreporter.section("tenantry: worth knowing")
        for line in lines:
            terminalreporter.write_line(line)


# -- fixtures ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tenantry_dsn(pytestconfig: pytest.Config) -> str:
    """The connection string that the options name, for tenantry.testing."""
    dsn = pytestconfig.stash[_SETUP].dsn
    return dsn or _fail(f"tenantry: {_NO_DSN}")


@pytest.fixture(scope="session")
def tenantry_project(pytestconfig: pytest.Config, tenantry_dsn: str) -> Project:
    """The manifest against the live database, for tenantry.testing; read once for a session."""
    from tenantry.errors import TenantryError
    from tenantry.testing import read_project

    manifest = pytestconfig.stash[_SETUP].manifest
    if manifest is None:
        _fail(f"tenantry: {_NO_MANIFEST}.")
    try:
        return read_project(tenantry_dsn, manifest)
    except TenantryError as error:
        _fail(_said(error))


def _fail(reason: str) -> NoReturn:
    pytest.fail(reason, pytrace=False)
