"""The SQL that is drafted and compiled for every schema of the corpus, as the linters get it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tenantry.catalog import read_catalog
from tenantry.manifest import load_manifest, target_files
from tenantry.mapping import resolve
from tenantry.postgres import EmbeddedServer, ident
from tests.conftest import Database, fresh_database
from tests.corpus.load import FOLDER, load, names
from tests.corpus.run.drive import choices
from tests.corpus.run.edits import apply_edits, read_edits
from tests.isolation.build import OWNER, context, make_roles, run, secure
from tests.linters.findings import Finding
from tests.migrate_support import cli

HERE = Path(__file__).parent
_STEP = re.compile(r"^-- \d+\. (\S+) \[\w+\]: ", re.MULTILINE)
_SCALE = 0.02


def steps_of(plan: str) -> dict[str, str]:
    """The steps of `plan --sql` by id, each with the settings that it runs under."""
    steps = list(_STEP.finditer(plan))
    head = plan[: steps[0].start()]
    ends = [*(step.start() for step in steps[1:]), len(plan)]
    return {step[1]: head + plan[step.start() : end] for step, end in zip(steps, ends, strict=True)}


def corpus_findings(
    server: EmbeddedServer,
    folder: Path,
    pgrls: Callable[[Database, Path], list[Finding]],
    squawk: Callable[[Path, dict[str, str]], list[Finding]],
) -> list[Finding]:
    """What both find for all schemas; a place begins with the schema's name."""
    config = folder / "pgrls.toml"
    config.write_text((HERE / "pgrls.toml").read_text(encoding="utf-8").replace('"clinic"', '"app"'), encoding="utf-8")
    found: list[Finding] = []
    scripts: dict[str, str] = {}
    for name in names():
        with _secured(server, name, folder / name) as (database, steps):
            found += [replace(each, place=f"{name}.{each.place}") for each in pgrls(database, config)]
            scripts |= {f"{name}.{step}": text for step, text in steps.items()}
    return found + squawk(folder / "corpus-sql", scripts)


@contextmanager
def _secured(server: EmbeddedServer, name: str, folder: Path) -> Iterator[tuple[Database, dict[str, str]]]:
    """A database with the drafted target, secured as behind the cut-over, and the SQL of the migration."""
    corpus = load(name)
    with fresh_database(server) as database:
        with database.connect() as admin:
            admin.execute(f"do $$ begin create role {OWNER} login; exception when duplicate_object then null; end $$")
            admin.execute(f"alter database {ident(database.name)} owner to {OWNER}".encode())
        with database.connect(user=OWNER) as owner:
            corpus.create(owner)
            corpus.fill(owner, _SCALE)
        here = ("--dsn", database.dsn_as(OWNER))
        cli("init", str(folder), *choices(corpus), *here, "--json")
        apply_edits(folder, read_edits(FOLDER / name / "edits.txt"))
        manifest = load_manifest(folder / "tenantry.toml")
        make_roles(database, manifest)
        planned = cli("plan", "--sql", "--manifest", str(folder / "tenantry.toml"), *here)
        if planned.code:
            raise AssertionError(f"{name}: {planned.everything}")
        steps = steps_of(planned.out)
        with database.connect(user=OWNER) as owner:
            context(owner, manifest)
            run(owner, "create schema app")
            with owner.transaction():
                texts = [path.read_text(encoding="utf-8") for path in target_files(manifest)]
                run(owner, "set local search_path = app, pg_catalog", *texts)
            secure(owner, resolve(manifest, read_catalog(owner, "public"), read_catalog(owner, "app")))
        yield database, steps
