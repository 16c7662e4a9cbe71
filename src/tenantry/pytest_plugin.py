"""The proof as pytest items: `pytest --tenantry` has one for each check of the lint, each table of the access matrix, and each
right that an attack needs. See docs/how-to/test-isolation.md.

pytest loads this module if Tenantry is installed; the rest of Tenantry is imported only when needed.

With pytest-xdist every worker collects the same items, and the first one computes the results of a kind for all workers: it
holds an advisory lock of the database meanwhile, which its connection's end releases, and stores them in a folder of the session.
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

# Most runs of pytest do not use this plugin, and should not wait for its imports.
if TYPE_CHECKING:
    from tenantry.manifest import Manifest
    from tenantry.mapping import Project
    from tenantry.prove.test_items import Kind, Verdict, Verdicts

_KINDS: tuple[Kind, ...] = ("lint", "matrix", "rights")
_NODE = "tenantry"
_NOTE = "tenantry"
"""Property of a report, and of a case in JUnit XML, that holds a note."""

_WITHOUT = "manifest"
"""The single item of a kind that needs a manifest, without one."""

_LOCK = 7304871220353
"""Key of the advisory lock between workers and sessions on one database; the proof has its own."""
_LONGEST_WAIT = 1800.0
"""Seconds to wait for another session's work on this database."""


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


# -- options -------------------------------------------------------------------------------------------------------------


@dataclass
class _Setup:
    """The options of one session.

    Attributes:
        kinds: kinds of collected checks.
        only: node ids from the command line; empty: all.
        items: kind and name of each item.
        folder: the shared results of this session's workers; None if nothing is collected.
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
    shared = given is not None and Path(given).is_dir()  # false for a worker on another machine
    setup.own_folder = not shared
    setup.folder = Path(str(given)) if shared else Path(tempfile.mkdtemp(prefix="tenantry-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    setup = config.stash.get(_SETUP, None)
    if setup is not None and setup.folder is not None and setup.own_folder:
        shutil.rmtree(setup.folder, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the shared folder of results to an xdist worker."""
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
_NO_MANIFEST = "there is no manifest: give --tenantry-manifest, TENANTRY_MANIFEST, tenantry_manifest in the ini, or a tenantry.toml"


def _take_nodes(config: pytest.Config) -> tuple[str, ...]:
    """Take this plugin's node ids out of the arguments, which pytest would treat as files."""
    mine = [each for each in config.args if each.partition("@")[0].startswith(f"{_NODE}::")]
    if mine:
        config.args[:] = [each for each in config.args if each not in mine]
    return tuple(each.partition("@")[0] for each in mine)


def _kinds(config: pytest.Config, only: tuple[str, ...]) -> tuple[Kind, ...]:
    """Return the enabled kinds. --tenantry enables those of the ini file, or all. The ini alone applies to full runs, not to named files."""
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
    """Return the connection string, and the option that gave it."""
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
    """A check failed; the text says where."""


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
    """Append the checks, which belong to no file, to the session's collected items."""
    report = yield
    if isinstance(collector, pytest.Session) and collector.config.stash[_SETUP].items:
        report.result.append(Root.from_parent(collector, name=_NODE, nodeid=_NODE))
    return report


class CheckItem(pytest.Item):
    """One check of the lint, one table of the matrix, or one right that an attack needs."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        assert self.parent is not None
        self.kind: Kind = self.parent.name  # type: ignore[assignment]  # its name is a kind
        self.add_marker("tenantry")
        if self.config.pluginmanager.has_plugin("xdist"):
            # With --dist loadgroup one worker gets all of them, so no other waits for it.
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
    """Return kind and name of each item, in an order that is the same for every xdist worker.

    Raises:
        pytest.UsageError: a named node does not exist.
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
    """Return the verdicts of a kind: computed here, or earlier by another worker.

    Raises:
        _Failed: they could not be computed; all workers report the same reason.
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
    """Allow one process at a time; if it is killed, the end of its connection releases the lock."""
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


# -- terminal summary ----------------------------------------------------------------------------------------------------


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print warnings, exceptions and what could not be tried, also for passed checks."""
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
    """The connection string from the options, for tenantry.testing."""
    dsn = pytestconfig.stash[_SETUP].dsn
    return dsn or _fail(f"tenantry: {_NO_DSN}")


@pytest.fixture(scope="session")
def tenantry_project(pytestconfig: pytest.Config, tenantry_dsn: str) -> Project:
    """The manifest resolved against the live database, for tenantry.testing; read once per session."""
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
