"""The proof and the test helpers make synthetic rows in the target, which only the runs' login may write until the cut-over."""

from __future__ import annotations

import pytest

from tenantry.errors import SideFenced
from tenantry.testing import as_user
from tests.migrate_support import cli
from tests.small import OWNER, OWNING_APPLICATION, MakeSmall, Small
from tests.small import small as small  # noqa: PLC0414 - pytest finds it here


def _refused(app: Small) -> None:
    owner = f"{app.database.dsn_as(OWNING_APPLICATION)} options='-c role={OWNER}'"
    for dsn in (app.database.dsn, owner):
        for options in ((), ("--login", "auto")):
            said = cli("prove", "--part", "matrix", *options, environment={**app.environment, "TENANTRY_DSN": dsn})
            assert said.code == 2, said
            assert "TN-418" in said.err
            told = " ".join(said.err.split())
            assert "table app.orgs is read-only" in told
            assert "only small_mig writes it, the login of the runs" in told
            assert "--dsn" in told
        with pytest.raises(SideFenced, match="only small_mig writes it"), as_user(dsn, app.manifest, role="member"):
            pass
        # Who is there already needs no row.
        with as_user(
            dsn, app.manifest, user=app.one("select account_id from app.people where legacy_id = 'u1'")
        ) as client:
            assert client.execute("select count(*) from orgs").fetchone() == (1,)


def _proved(app: Small, dsn: str, *options: str) -> None:
    said = cli("prove", "--part", "matrix", *options, environment={**app.environment, "TENANTRY_DSN": dsn})
    assert said.code == 0, said
    with as_user(dsn, app.manifest, role="member") as client:
        assert client.execute("select count(*) from orgs").fetchone() == (1,)


def test_a_proof_before_the_cut_over_says_whose_login_it_needs(small: MakeSmall) -> None:
    app = small()
    app.migrate()
    # The first one makes the objects that a proof needs.
    _refused(app)
    _proved(app, app.dsn)
    app.cut_over()
    _proved(app, app.database.dsn)
    app.roll_back()
    _refused(app)
    _proved(app, app.dsn, "--login", "auto")
