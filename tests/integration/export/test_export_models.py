"""tenantry export: models of other tools read and write under row-level security, in a database that the SQL export made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tenantry.postgres import EmbeddedServer
from tenantry.postgres.seal import claims_text
from tenantry.postgres.stated import start_options
from tests.conftest import running_server
from tests.drivers import with_sqlalchemy
from tests.export_support import World, made_by_export, models_of
from tests.isolation.build import KEY


@pytest.fixture(scope="module")
def world(servers: dict[int, EmbeddedServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with made_by_export(running_server(servers, 18), tmp_path_factory.mktemp("rich")) as made:
        yield made


def test_models_of_sqlalchemy_read_and_write_as_a_tenant(world: World, tmp_path: Path) -> None:
    world.exported.export("sqlalchemy", tmp_path)
    models = models_of(tmp_path / "models.py")
    engine = with_sqlalchemy.make_engine(world.login_dsn)

    def opened(session: Session, number: int) -> None:
        said = claims_text(world.claims(number))
        challenge = session.scalar(text("select tenantry.challenge()"))
        token = KEY.token(said, str(challenge))
        session.execute(with_sqlalchemy.OPEN, {"claims": said, "token": token, "role": "authenticated"})

    try:
        with Session(engine) as session, session.begin():
            opened(session, 0)
            note = models.Note(org_id=world.orgs[0], title="New", tone="dark", tones=["light", "dark"], tags=["a", "b"])
            session.add(note)
            session.flush()
            # Ids, defaults, identity and generated columns are the database's.
            assert (note.id.version, note.number > 0, note.shout, note.class_) == (4, True, "NEW", "x")
            assert note.legacy_id is None
            key = (note.org_id, note.id)
        with Session(engine) as session, session.begin():
            opened(session, 1)
            assert list(session.scalars(select(models.Note.title))) == ["Of Two"]
            assert session.get(models.Note, key) is None
        with Session(engine) as session, session.begin():
            opened(session, 0)
            note = session.get_one(models.Note, key)
            assert (note.tone, note.tones, note.tags) == ("dark", ["light", "dark"], ["a", "b"])
            note.title = "Changed"
        assert (world.orgs[0], "Changed") in world.titles()
        with Session(engine) as session, session.begin():
            opened(session, 0)
            session.delete(session.get_one(models.Note, key))
        assert world.titles() == [(world.orgs[0], "Of One"), (world.orgs[1], "Of Two")]
    finally:
        engine.dispose()


PRISMA = Path(__file__).parents[2] / "drivers" / "prisma"


@pytest.mark.skipif(
    shutil.which("node") is None or not (PRISMA / "node_modules").is_dir(),
    reason="Node or Prisma are not here: `make test` installs them where npm is",
)
def test_a_client_of_prisma_reads_and_writes_as_a_tenant(world: World, tmp_path: Path) -> None:
    world.exported.export("prisma", tmp_path)
    for name in ("notes.mts", "package.json", "prisma.config.ts", "tsconfig.json"):
        shutil.copy(PRISMA / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(PRISMA / "node_modules")
    environment = {
        **os.environ, "PRISMA_SCHEMA": "schema.prisma", "PRISMA_SCHEMA_ENGINE_BINARY": sys.executable,
        "CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1",
    }  # fmt: skip

    def node(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["node", *arguments], input=stdin, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env=environment
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # It validates first. The types are checked, and the code is run as JavaScript.
    node("node_modules/prisma/build/index.js", "generate")
    node("node_modules/typescript/bin/tsc", "--project", ".")
    parts = psycopg.conninfo.conninfo_to_dict(world.login_dsn)
    asked = {
        "config": {
            "host": parts["host"], "port": int(parts["port"] or 5432), "database": parts["dbname"], "user": parts["user"],
            "options": start_options(),
        },
        "key": KEY.text(), "callers": [world.claims(0), world.claims(1)], "orgs": list(map(str, world.orgs)),
    }  # fmt: skip
    said = json.loads(node("notes.mjs", stdin=json.dumps(asked)))
    made = said["made"]
    assert UUID(made["id"]).version == 4
    assert (made["org_id"], made["shout"], made["class"], made["tones"]) == (
        str(world.orgs[0]),
        "NEW",
        "x",
        ["light", "dark"],
    )
    assert said["other"] == [["Of Two"], None]
    assert said["changed"] == ["Changed", "One"]
    assert said["refused"] == "P2025"  # no such row
    assert said["deleted"] == made["id"]
    assert [(each["name"], each["notes"]) for each in said["left"]] == [("One", [{"title": "Of One"}])]


def test_models_of_django_read_and_write_as_a_tenant(world: World, tmp_path: Path) -> None:
    world.exported.export("django", tmp_path / "exported")
    (tmp_path / "exported" / "__init__.py").touch()
    parts = psycopg.conninfo.conninfo_to_dict(world.login_dsn)
    asked = {
        "database": {"NAME": parts["dbname"], "USER": parts["user"], "HOST": parts["host"], "PORT": parts["port"] or "5432"},
        "key": KEY.text(), "callers": [world.claims(0), world.claims(1)], "orgs": list(map(str, world.orgs)),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.drivers.django_notes", str(tmp_path)],
        input=json.dumps(asked), capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    id_, org, shout, kind, number = said["made"]
    assert (UUID(id_).version, org, shout, kind, number > 0) == (4, str(world.orgs[0]), "NEW", "x", True)
    assert said["other"] == [["Of Two"], False]
    assert said["changed"] == ["Changed", "One", ["light", 'it\'s "odd"'], True, True]
    assert said["stolen"] == 0
    assert said["left"] == [["One", ["Of One"]]]
