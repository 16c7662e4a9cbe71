"""Official clients build their models from the rows of the schema auth."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from psycopg import sql
from psycopg.types.json import Jsonb
from supabase_auth import types as official

from tenantry.accounts.user_json import read_user, session_json, time_text
from tests.conftest import Database
from tests.integration.accounts.auth_schema_support import Connection, make

# -- as clients see it ---------------------------------------------------------------------------------------------------

BORN = datetime(2026, 2, 3, 4, 5, 6, 70000, tzinfo=UTC)


def insert_user(connection: Connection, **more: object) -> UUID:
    user = uuid4()
    values: dict[str, object] = {"id": user, "email": "ada@example.org", "created_at": BORN, "updated_at": BORN} | more
    connection.execute(
        sql.SQL("insert into auth.users ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Placeholder, values))
        ),
        {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()},
    )
    return user


def insert_identity(
    connection: Connection, user: UUID, provider: str, provider_id: str, at: datetime, **data: object
) -> None:
    connection.execute(
        "insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        [provider_id, user, Jsonb({"sub": provider_id, **data}), provider, at, at, at],
    )


def test_the_official_models_are_built_from_the_rows(database_each: Database) -> None:
    moments = {
        name: BORN + timedelta(minutes=n)
        for n, name in enumerate(
            (
                *(
                    "email_confirmed_at",
                    "invited_at",
                    "confirmation_sent_at",
                    "recovery_sent_at",
                    "email_change_sent_at",
                ),
                *("last_sign_in_at", "phone_confirmed_at", "banned_until", "deleted_at"),
            ),
            start=1,
        )
    }
    with database_each.connect() as connection:
        make(connection)
        user = insert_user(
            connection, encrypted_password="$2a$10$hash", phone="41790000000", email_change="new@example.org",
            phone_change="41791111111", recovery_token="secret-token", is_anonymous=False,
            raw_app_meta_data={"provider": "email", "providers": ["email", "github"], "super_admin": True},
            raw_user_meta_data={"name": "Ada", "email_verified": True}, **moments,
        )  # fmt: skip
        insert_identity(connection, user, "email", str(user), BORN, email="Ada@Example.org", email_verified=True)
        insert_identity(connection, user, "github", "4711", BORN + timedelta(days=1), user_name="ada")
        connection.execute(
            "insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, created_at, updated_at, secret)"
            " values (gen_random_uuid(), %s, 'phone at home', 'totp', 'verified', %s, %s, 'otp-secret')",
            [user, BORN, BORN],
        )
        shown = read_user(connection, user)
        assert shown is not None
        assert read_user(connection, uuid4()) is None
    model = official.User.model_validate(shown)
    assert (model.id, model.aud, model.role, model.email) == (
        str(user),
        "authenticated",
        "authenticated",
        "ada@example.org",
    )
    assert (model.phone, model.new_email, model.new_phone) == ("41790000000", "new@example.org", "41791111111")
    for name, moment in moments.items():
        got = getattr(model, name)
        assert (name, datetime.fromisoformat(got) if isinstance(got, str) else got) == (name, moment)
    assert (model.created_at, model.updated_at) == (BORN, BORN)
    assert model.confirmed_at == moments["email_confirmed_at"], "the earlier of both confirmations"
    assert model.app_metadata == {"provider": "email", "providers": ["email", "github"], "super_admin": True}
    assert model.user_metadata == {"name": "Ada", "email_verified": True}
    assert model.is_anonymous is False
    assert model.identities is not None
    first, second = model.identities
    assert (first.provider, first.id, first.user_id) == ("email", str(user), str(user))
    assert first.identity_id not in (first.id, second.identity_id)
    assert first.identity_data == {"sub": str(user), "email": "Ada@Example.org", "email_verified": True}
    assert (second.provider, second.id, second.created_at) == ("github", "4711", BORN + timedelta(days=1))
    assert [identity.get("email") for identity in shown["identities"]] == ["ada@example.org", None]
    assert [(factor.friendly_name, factor.factor_type, factor.status) for factor in model.factors or []] == [
        ("phone at home", "totp", "verified")
    ]
    assert not [secret for secret in ("$2a$10$hash", "secret-token", "otp-secret") if secret in str(shown)]
    assert shown["created_at"] == "2026-02-03T04:05:06.07Z"
    session = official.Session.model_validate(
        session_json(shown, access_token="access", refresh_token="refresh", expires_in=3600, now=BORN)
    )
    assert (session.token_type, session.expires_in, session.expires_at) == (
        "bearer",
        3600,
        int(BORN.timestamp()) + 3600,
    )
    assert session.user == model


def test_a_user_who_has_hardly_anything_is_whole_for_clients(database: Database) -> None:
    with database.connect() as connection:
        make(connection)
        user = insert_user(
            connection,
            email=None,
            aud=None,
            role=None,
            raw_app_meta_data=None,
            raw_user_meta_data=None,
            is_anonymous=True,
        )
        shown = read_user(connection, user)
    assert shown is not None
    model = official.User.model_validate(shown)
    assert (model.email, model.phone, model.app_metadata, model.user_metadata, model.identities) == ("", "", {}, {}, [])
    assert model.is_anonymous
    absent = {"factors", "new_email", "confirmed_at", "deleted_at", "banned_until", "last_sign_in_at"}
    assert not absent & set(shown)


def test_times_are_written_in_utc_with_the_digits_that_there_are() -> None:
    east = datetime.fromisoformat("2026-02-03T04:05:06.120000+02:00")
    assert [time_text(moment) for moment in (east, BORN.replace(microsecond=0), BORN.replace(microsecond=1))] == [
        "2026-02-03T02:05:06.12Z",
        "2026-02-03T04:05:06Z",
        "2026-02-03T04:05:06.000001Z",
    ]
    ordered = [time_text(BORN + timedelta(seconds=n)) for n in range(5)]
    assert all(early < late for early, late in itertools.pairwise(ordered))
