"""Contexts over other drivers, as docs/how-to/open-a-context.md shows them; each code of the page that runs here is run here."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.postgres import EmbeddedServer
from tenantry.postgres.stated import start_options
from tenantry.postgres.tenant import tenant, tenant_pool
from tests.conftest import fresh_database, running_server
from tests.integration.access.seal_world import World
from tests.isolation.build import KEY, build_clinic

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
PAGE = HERE.parents[1] / "docs" / "how-to" / "open-a-context.md"
EXAMPLES = sorted(path for path in (*HERE.glob("with_*.py"), *HERE.glob("node/*.mjs")) if "[page]" in path.read_text())

WANT = [["Only in Fernhill"], ["Only in Oakdale"]]


@pytest.fixture(scope="module")
def world(servers: dict[int, EmbeddedServer]) -> Iterator[World]:
    """Two clinics with a member and a provider each."""
    with fresh_database(running_server(servers, 18)) as database:
        made = World(build_clinic(database))
        with made.built.owner() as owner:
            for clinic, (name,) in zip(made.clinics, WANT, strict=True):
                owner.execute(
                    "insert into clinic.providers (clinic_id, name, provider_type, status) values (%s, %s, 'dentist', 'active')",
                    [clinic, name],
                )
        yield made


@pytest.fixture
def parts(world: World) -> dict[str, str]:
    """host, dbname, user and port of the login."""
    found = psycopg.conninfo.conninfo_to_dict(world.built.login_dsn)
    return {"port": "5432", **{name: str(value) for name, value in found.items()}}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_page_shows_what_is_tried(path: Path) -> None:
    code = re.split(r"(?:#|//) \[page\]\n", path.read_text())[1].strip()
    assert code in PAGE.read_text()


def test_the_readme_opens_a_transaction_in_three_lines(world: World) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) == 3
    known: dict[str, Any] = {"tenant": tenant, "tenant_pool": tenant_pool, "key": KEY, "dsn": world.built.login_dsn}
    for n in (0, 1):
        known["claims"] = world.claims(n)
        exec(code, known)  # noqa: S102
        known["pool"].close()
        assert known["rows"] == [tuple(WANT[n])]


def test_asyncpg(world: World, parts: dict[str, str]) -> None:
    pytest.importorskip("asyncpg")
    from tests.drivers import with_asyncpg as driver  # noqa: PLC0415

    url = f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"

    async def work() -> None:
        async with driver.open_pool(url) as pool:
            got = await asyncio.gather(*(driver.providers(pool, world.claims(n % 2), KEY) for n in range(6)))
            assert got == WANT * 3
            assert await pool.fetchval("select count(*) from pg_prepared_statements") == 0

    asyncio.run(work())


def test_sqlalchemy(world: World) -> None:
    pytest.importorskip("sqlalchemy")
    from tests.drivers import with_sqlalchemy as driver  # noqa: PLC0415

    engine = driver.make_engine(world.built.login_dsn)
    try:
        assert [driver.providers(engine, world.claims(n), KEY) for n in (0, 1)] == WANT
        with engine.connect() as connection:
            connection.exec_driver_sql("set datestyle = 'SQL, DMY'")
            connection.commit()
        with engine.connect() as connection:
            assert connection.exec_driver_sql("show datestyle").scalar() == "ISO, MDY"
    finally:
        engine.dispose()


def test_django_binds_only_where_it_is_told_to(world: World, parts: dict[str, str]) -> None:
    pytest.importorskip("django")
    import django  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415
    from django.db.utils import OperationalError  # noqa: PLC0415

    from tests.drivers import with_django as driver  # noqa: PLC0415

    where = {"NAME": parts["dbname"], "USER": parts["user"], "HOST": parts["host"], "PORT": parts["port"]}
    shown: dict[str, Any] = driver.database(world.built.login_dsn, **where)
    settings.configure(DATABASES={"default": shown}, USE_TZ=True)
    django.setup()
    try:
        assert [driver.providers(world.claims(n), KEY) for n in (0, 1)] == WANT
        connections["default"].close()
        connections["default"].settings_dict["OPTIONS"]["server_side_binding"] = False
        with pytest.raises(OperationalError, match="stands in the text"):
            driver.providers(world.claims(), KEY)
    finally:
        connections["default"].close()


@pytest.mark.skipif(
    shutil.which("node") is None or not (HERE / "node" / "node_modules").is_dir(),
    reason="Node or its drivers are not here: `make test` installs them where npm is",
)
def test_node(world: World, parts: dict[str, str]) -> None:
    config = {
        "host": parts["host"],
        "port": int(parts["port"]),
        "database": parts["dbname"],
        "user": parts["user"],
        "options": start_options(),
    }
    asked = {"config": config, "key": KEY.text(), "callers": [world.claims(0), world.claims(1)]}
    done = subprocess.run(
        ["node", "run.mjs"], input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=False, cwd=HERE / "node"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "pg": WANT,
        "prisma": WANT,
        "written": "the token stands in the text of the statement",
        "again": "the context was refused",
    }
