"""tenantry export: models of other tools read and write under row-level security, in a database that the SQL export made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tenantry.postgres import EmbeddedServer
from tenantry.postgres.seal import claims_text
from tests.conftest import _server
from tests.drivers import with_sqlalchemy
from tests.export_support import World, made_by_export, models_of
from tests.isolation.build import KEY


@pytest.fixture(scope="module")
def world(servers: dict[int, EmbeddedServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with made_by_export(_server(servers, 18), tmp_path_factory.mktemp("rich")) as made:
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
