"""Attacks succeed on a vulnerable schema, fail on its repaired twin and on Clinic, and leave nothing behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry.catalog import Catalog, read_catalog
from tenantry.dbcopy.maker import CopyReports
from tenantry.errors import TenantryError
from tenantry.manifest import load_manifest
from tenantry.manifest.model import Context
from tenantry.mapping import Project, resolve
from tenantry.postgres import EmbeddedServer, ident
from tenantry.prove.attacks import (
    ATTACKS,
    FAMILIES,
    Application,
    AttackedDatabase,
    AttackResult,
    NoLogin,
    ask_rights,
    attack_copy,
    run_attacks,
)
from tenantry.prove.attacks.harness.accepted import INHERENT
from tenantry.prove.attacks.harness.model import Attack, AttackVerdict
from tests.conftest import Database, fresh_database, running_server, versions
from tests.isolation.build import OWNER, Built, build, build_clinic, build_org, run
from tools.docs.attacks import page as attacks_page

FOLDER = Path(__file__).with_name("attack_lab")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "attacks.md"

NAMES = {each.name for each in ATTACKS}

NO_LAB = {
    "statistics_through_an_operator": "no PostgreSQL with its updates hands statistics to an operator that is not leakproof",
    "plan_of_another_role": "no PostgreSQL with its updates keeps a plan that depends on the role when the role changes",
    "prepared_transaction": "a setting of the server invites it, and no schema: max_prepared_transactions, 0 unless it was changed",
    "lock_queue": "every schema that clients may use invites it, so that there is no mended one: it is tried on the application itself",
}
"""Attacks that have no lab, with the reason."""

NO_RIGHT: set[tuple[str, str]] = {("shares_that_nobody_asked_for", "push_a_share")}
"""Labs that let an attack through by something else than a right."""

RIGHT_STAYS = {
    ("path_for_the_session", "temporary_table_left"),
    ("shadowed_types", "shadow_names_of_functions"),
    ("update_without_check", "update_the_tenant"),
    ("view_without_barrier", "leak_by_cheap_function"),
}
"""Repaired twins on which the right that an attack needs exists without harm: only a trial can show it."""

ACCEPTED = INHERENT


# -- the lab -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One of the twins: what is done to the small application, and how it keeps its connections."""

    script: str
    sealed: bool
    application: Application


@dataclass(frozen=True)
class Lab:
    name: str
    attacks: tuple[str, ...]
    broken: Side
    mended: Side
    says: str
    """What an attack says on the mended twin, beside that it held."""


def _lab(path: Path) -> Lab:
    head, _, rest = path.read_text(encoding="utf-8").partition("-- name: broken\n")
    broken, _, mended = rest.partition("-- name: mended\n")
    lines = (line.removeprefix("-- ").partition(": ") for line in head.splitlines())
    said = {key: value for key, colon, value in lines if colon}

    def side(name: str, script: str) -> Side:
        application = said.get(f"{name}_application")
        return Side(
            script.strip(),
            said.get(f"{name}_manifest") != "unsealed",
            Application() if application is None else _application(application),
        )

    return Lab(
        path.stem,
        tuple(said["attacks"].split(", ")),
        side("broken", broken),
        side("mended", mended),
        said.get("says", ""),
    )


def _application(said: str) -> Application:
    given = dict(pair.split("=") for pair in said.split())
    assert set(given.values()) <= {"yes", "no"}
    return replace(Application(library=False), **{name: value == "yes" for name, value in given.items()})


SOUND = Side("", True, Application())
"""The small application as it is: the mended twin of most labs."""

LABS = [_lab(path) for path in sorted(FOLDER.glob("*.sql")) if path.name != "base.sql"]


@pytest.fixture(scope="session")
def templates(servers: dict[int, EmbeddedServer]) -> Iterator[dict[bool, Database]]:
    """The small application, with sealed contexts and without, to be cloned."""
    manifest = load_manifest(FOLDER / "tenantry.toml")
    base = FOLDER.joinpath("base.sql").read_text(encoding="utf-8")
    source = "create table users (id text primary key, email text not null);"
    server = running_server(servers, 18)
    with fresh_database(server) as sealed, fresh_database(server) as unsealed:
        for database, is_sealed in ((sealed, True), (unsealed, False)):
            build(database, manifest.model_copy(update={"context": Context(sealed=is_sealed)}), source, [base])
        yield {True: sealed, False: unsealed}


@contextmanager
def _login(database: Database) -> Iterator[str]:
    """A login that is the application's twin, of this test alone."""
    name = f"{database.name}_app"
    with database.connect() as admin:
        run(admin, f"create role {name} login noinherit", f"grant anon, authenticated to {name}")
        if database.version >= 16:
            run(admin, f"grant anon, authenticated to {name} with inherit false, set true")
        run(admin, f"grant usage on schema tenantry to {name}")
        if admin.execute("select to_regprocedure('tenantry.open(text, text)')").fetchone() != (None,):
            run(admin, f"grant execute on function tenantry.challenge(), tenantry.open(text, text) to {name}")
        try:
            yield name
        finally:
            run(admin, "set session authorization default")
            run(admin, f"reassign owned by {name} to postgres", f"drop owned by {name} cascade", f"drop role {name}")


_SOURCES: dict[str, Catalog] = {}
"""By template."""


@contextmanager
def _spoiled(templates: dict[bool, Database], side: Side) -> Iterator[tuple[Database, Project, str]]:
    template = templates[side.sealed]
    with fresh_database(template.server, template.name) as database, _login(database) as login:
        script = side.script
        for word, value in (("database", database.name), ("login", login), ("owner", OWNER)):
            script = script.replace(f"{{{word}}}", ident(value))
        with database.connect() as admin:
            # A clone has not the rights on the database that its template has.
            run(admin, f"revoke temporary on database {database.name} from public")
            run(admin, f"grant create, temporary on database {database.name} to {OWNER}")
            run(admin, f"set role {OWNER}", "set search_path = app, pg_catalog")
            if script:
                run(admin, script)
            run(admin, "reset all")
            manifest = load_manifest(FOLDER / "tenantry.toml").model_copy(
                update={"context": Context(sealed=side.sealed)}
            )
            # No lab touches the source, so that its catalog is the template's.
            if template.name not in _SOURCES:
                _SOURCES[template.name] = read_catalog(admin, "old")
            project = resolve(manifest, _SOURCES[template.name], read_catalog(admin, "app"))
        yield database, project, login


def _answered(database: Database, project: Project, login: str, attacks: tuple[str, ...] | None) -> dict[str, str]:
    """What the catalog says of the attacks that it knows an answer for."""
    roles = project.manifest.database_roles.model_copy(update={"login": login})
    manifest = project.manifest.model_copy(update={"database_roles": roles})
    with database.connect() as owner:
        results = ask_rights(owner, replace(project, manifest=manifest), attacks=attacks)
    return {each.attack.name: each.outcome for each in results if each.outcome != "not applicable"}


def _attacked(
    templates: dict[bool, Database], side: Side, attacks: tuple[str, ...] | None, answers: dict[str, str] | None = None
) -> dict[str, AttackResult]:
    """The results of these attacks; `answers` gets what the catalog says of them before."""
    with _spoiled(templates, side) as (database, project, login):
        if answers is not None:
            answers.update(_answered(database, project, login, attacks))
        results = run_attacks(
            project,
            AttackedDatabase(database.dsn, database.dsn_as(login), own_login=True, application=side.application),
            attacks=attacks,
        )
        keys = []
        if side.sealed:
            with database.connect() as admin:
                keys = [str(row[0]) for row in admin.execute("select encode(open_inner, 'hex') from tenantry.seal_key")]
            assert keys
    # Neither an attack that succeeds nor one that fails writes a secret into its report.
    for result in results:
        _holds_no_secret(result.evidence, keys)
    return {result.attack.name: result for result in results}


def _holds_no_secret(evidence: str, keys: list[str]) -> None:
    assert not any(key in evidence for key in keys)
    assert "kept to ourselves" not in evidence
    assert re.search(r"\.\d{13}\.[0-9a-f]{64}", evidence) is None


Sound = tuple[dict[str, AttackResult], dict[str, str]]


@pytest.fixture(scope="session")
def sound(templates: dict[bool, Database]) -> Sound:
    """What became of all attacks on the small application, and what its catalog says of them."""
    answers: dict[str, str] = {}
    return _attacked(templates, SOUND, None, answers), answers


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_attacks_succeed_on_their_lab_and_not_on_its_twin(
    lab: Lab, templates: dict[bool, Database], sound: Sound, record_property: Any
) -> None:
    """And the catalog knows the right that a lab gives."""
    rights: dict[str, dict[str, str]] = {"broken": {}, "mended": {}}
    broken = _attacked(templates, lab.broken, lab.attacks, rights["broken"])
    if lab.mended == SOUND:
        mended = {name: sound[0][name] for name in lab.attacks}
        rights["mended"] = {name: sound[1][name] for name in lab.attacks if name in sound[1]}
    else:
        mended = _attacked(templates, lab.mended, lab.attacks, rights["mended"])
    for name in lab.attacks:
        line = f"{name:42} {lab.name:28} {broken[name].outcome:15} {mended[name].outcome}"
        record_property("confusion", line)
    assert {name: (each.outcome, each.evidence) for name, each in broken.items() if each.outcome != "broken"} == {}
    assert {name: (each.outcome, each.evidence) for name, each in mended.items() if each.outcome != "held"} == {}
    assert any(lab.says in each.evidence for each in mended.values())
    assert rights["broken"].keys() == {each.name for each in ATTACKS if each.rights and each.name in lab.attacks}
    # What is no matter of rights there is tried only.
    tried = {name for lab_, name in NO_RIGHT if lab_ == lab.name}
    assert {name for name, outcome in rights["broken"].items() if outcome != "broken"} == tried
    assert {(lab.name, name) for name, outcome in rights["mended"].items() if outcome != "held"} == {
        pair for pair in RIGHT_STAYS if pair[0] == lab.name
    }


def test_every_attack_has_a_lab_or_a_reason() -> None:
    tried = {name for lab in LABS for name in lab.attacks}
    assert tried - NAMES == set()
    assert NAMES - tried == set(NO_LAB)
    assert len(NAMES) == len(ATTACKS) >= 70
    assert {each.family for each in ATTACKS} == set(FAMILIES)


def test_no_attack_succeeds_on_the_small_application(sound: Sound) -> None:
    results = sound[0]
    assert _unexpected(results.values()) == {}
    assert len(results) == len(ATTACKS)
    assert results["lock_queue"].outcome == "broken"
    assert results["prepared_transaction"].outcome == "held"


# -- Clinic ------------------------------------------------------------------------------------------------------------


def _unexpected(results: Any) -> dict[str, str]:
    return {
        each.attack.name: f"{each.outcome}: {each.evidence}"
        for each in results
        if each.outcome == "error" or (each.outcome == "broken" and each.attack.name not in ACCEPTED)
    }


def test_no_attack_succeeds_on_clinic(database: Database) -> None:
    built = build_clinic(database)
    seen: list[tuple[str, int, int]] = []
    left: list[str] = []
    with attack_copy(built.project, database.dsn, reports=CopyReports(left=left)) as copy:
        results = run_attacks(
            built.project,
            AttackedDatabase(copy.owner_dsn, copy.login_dsn, own_login=True),
            accepted=ACCEPTED,
            progress=lambda *at: seen.append(at),
        )
    assert _unexpected(results) == {}
    assert not any(each.failed for each in results)
    assert all(each.accepted for each in results if each.outcome == "broken")
    # What cannot be tried says why, and is the lesser part.
    idle = [each for each in results if each.outcome == "not applicable"]
    assert len(idle) < len(results) / 5
    assert all(each.evidence for each in results)
    assert len(results) == len(ATTACKS) == seen[-1][1]
    assert left == []
    assert _made(database) == []


def test_a_schema_of_other_names_is_attacked_by_its_manifest_alone(
    servers: dict[int, EmbeddedServer], tmp_path: Path
) -> None:
    """On the oldest version: the newest is attacked above, and names do not differ by version."""
    with fresh_database(running_server(servers, min(versions()))) as database:
        built = build_org(database, tmp_path)
        results = run_attacks(built.project, AttackedDatabase(database.dsn, built.login_dsn))
    # Its comments are numbered for all organisations together, which attacks find out.
    assert set(_unexpected(results)) - {"sequence_gaps", "sequence_read"} == set()
    assert "sequence_gaps" in _unexpected(results)
    assert sum(each.outcome == "held" for each in results) > 100


# -- the copy ----------------------------------------------------------------------------------------------------------


def _made(database: Database) -> list[str]:
    """Databases and logins that a proof made of this database and left there."""
    with database.connect() as admin:
        rows = admin.execute(
            "select datname::text from pg_database where datname like %s union all"
            " select rolname::text from pg_roles where rolname like 'tenantry_proof_%%'"
            " and starts_with(shobj_description(oid, 'pg_authid'), 'made by tenantry prove')"
            " and shobj_description(oid, 'pg_authid') like %s",
            [f"{database.name}_rehearsal%", f"%{database.name}%"],
        ).fetchall()
    return [str(row[0]) for row in rows]


def test_attacks_on_a_copy_leave_the_original_rows_and_roles_unchanged(database: Database) -> None:
    built = build_clinic(database)
    digest = (
        "select md5(string_agg(x, ',' order by x)) from (select r.rolname || r.rolsuper::text || coalesce(s.setconfig::text, '')"
        " as x from pg_roles as r left join pg_db_role_setting as s on s.setrole = r.oid"
        # Other tests share the server: what they state for their own databases does not count.
        " and s.setdatabase in (0, (select d.oid from pg_database as d where d.datname = current_database()))"
        " where r.rolname in ('tenantry_login', 'authenticated', 'anon', 'service_role', 'tenantry_definer')"
        " union all select count(*)::text from clinic.clinics union all select count(*)::text from auth.users"
        " union all select count(*)::text from tenantry.seal_key) as t"
    )
    with database.connect() as admin:
        before = admin.execute(digest.encode()).fetchone()
    with attack_copy(built.project, database.dsn) as copy:
        assert copy.database != database.name
        with psycopg.connect(copy.login_dsn) as login, psycopg.connect(copy.owner_dsn) as owner:
            name = login.info.user
            assert name.startswith("tenantry_proof_")
            assert name in _made(database)
            attributes = owner.execute(
                "select rolinherit, rolsuper, rolcreaterole, rolcanlogin from pg_roles where rolname = %s", [name]
            ).fetchone()
            assert attributes == (False, False, False, True)
            members = owner.execute(
                "select array_agg(r.rolname::text order by 1) from pg_auth_members m join pg_roles r on r.oid = m.roleid"
                " where m.member = to_regrole(%s)",
                [name],
            ).fetchone()
            assert members == (["anon", "authenticated"],)
            # As on the original, and unlike on a database that was just made.
            assert owner.execute(
                "select has_database_privilege(%s, current_database(), 'temporary')", [name]
            ).fetchone() == (False,)
        results = run_attacks(
            built.project, AttackedDatabase(copy.owner_dsn, copy.login_dsn, own_login=True), attacks={"read_by_id"}
        )
    assert [each.outcome for each in results] == ["held"]
    with database.connect() as admin:
        assert admin.execute(digest.encode()).fetchone() == before
    assert _made(database) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_copy_and_login_are_gone_whatever_happens(error: type[BaseException], database: Database) -> None:
    built = build_clinic(database)
    with suppress(error), attack_copy(built.project, database.dsn) as copy:
        held_open = psycopg.connect(copy.login_dsn)
        assert _made(database) != []
        raise error
    assert _made(database) == []
    with pytest.raises(psycopg.OperationalError):
        held_open.execute("select 1")


def test_a_database_in_use_is_copied_by_dump_and_its_rights_with_it(database: Database) -> None:
    built = build_clinic(database)
    with database.connect() as admin:
        run(admin, f"grant temporary on database {database.name} to public")
        with attack_copy(built.project, database.dsn) as copy:
            assert copy.method == "dump and restore"
            results = run_attacks(
                built.project,
                AttackedDatabase(copy.owner_dsn, copy.login_dsn, own_login=True),
                attacks={"read_by_id", "create_temporary", "token_altered"},
            )
    got = {each.attack.name: each.outcome for each in results}
    assert got == {"read_by_id": "held", "create_temporary": "broken", "token_altered": "held"}
    assert _made(database) == []


def test_an_owner_who_may_not_dump_forced_tables_proves_a_copy_with_synthetic_rows(database: Database) -> None:
    """No superuser, no BYPASSRLS, and sessions are connected, so that nothing is copied by template."""
    built = build_clinic(database)
    maker, roles = f"{database.name}_maker", built.project.manifest.database_roles
    with database.connect() as admin:
        run(admin, f"create role {maker} login createdb createrole", f"grant {OWNER}, {roles.definer} to {maker}")
        run(admin, f"grant {roles.anon}, {roles.authenticated} to {maker} with admin option")
        try:
            run(admin, "insert into clinic.clinics (name, location, time_zone) values ('of the original', 'x', 'UTC')")
            with attack_copy(built.project, database.dsn_as(maker)) as copy:
                assert copy.method == "dump and restore"
                with psycopg.connect(copy.owner_dsn) as there:
                    assert there.execute("select count(*) from clinic.clinics").fetchone() == (0,)
                results = run_attacks(
                    built.project,
                    AttackedDatabase(copy.owner_dsn, copy.login_dsn, own_login=True),
                    attacks={"read_by_id", "token_altered"},
                )
                left_open = psycopg.connect(copy.login_dsn)
            left_open.close()  # ended with the copy, as a session that an attack leaves behind
            assert [each.outcome for each in results] == ["held", "held"]
            said = [note for note in copy.notes if "without rows" in note]
            assert said and "clinic.appointment_metrics, " in said[0] and "synthetic" in said[0]
            assert "\n".join(note for note in copy.notes if note not in said) == ""
            assert _made(database) == []
        finally:
            run(admin, f"reassign owned by {maker} to postgres", f"drop owned by {maker}", f"drop role {maker}")


def test_the_login_for_attacks_has_the_grants_of_the_applications_login(database: Database) -> None:
    built = build_clinic(database)
    with built.owner() as owner:
        run(
            owner,
            "grant usage on schema clinic to tenantry_login",
            "grant select on clinic.locations to tenantry_login",
            "create policy of_the_login on clinic.locations for select to public using (true)",
        )
    with attack_copy(built.project, database.dsn) as copy:
        results = run_attacks(
            built.project,
            AttackedDatabase(copy.owner_dsn, copy.login_dsn, own_login=True),
            attacks={"rights_of_the_bare_login"},
        )
    assert [each.outcome for each in results] == ["broken"]


def test_without_the_right_to_make_roles_no_copy_is_left(database: Database) -> None:
    built = build_clinic(database)
    maker = f"{database.name}_maker"
    with database.connect() as admin:
        run(admin, f"create role {maker} login createdb", f"grant {OWNER}, tenantry_definer to {maker}")
        try:
            run(admin, f"alter database {database.name} owner to {maker}", f"grant pg_read_all_data to {maker}")
            admin.close()
            with pytest.raises((NoLogin, TenantryError)) as caught, attack_copy(built.project, database.dsn_as(maker)):
                pytest.fail("a login was made without the right to it")
            assert "password" not in str(caught.value)
            assert _made(database) == []
        finally:
            with database.connect() as again:
                run(again, f"reassign owned by {maker} to postgres", f"drop owned by {maker}", f"drop role {maker}")


# -- results -----------------------------------------------------------------------------------------------------------


def test_an_error_of_the_harness_is_a_result_of_its_own(built_org: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_scene: Any) -> AttackVerdict:
        raise ZeroDivisionError("something went wrong here")

    replaced = tuple(
        Attack(each.name, each.family, each.tries, each.gains, fails) if each.name == "read_by_id" else each
        for each in ATTACKS
    )
    monkeypatch.setattr("tenantry.prove.attacks.run.ATTACKS", replaced)
    results = run_attacks(
        built_org.project,
        AttackedDatabase(built_org.database.dsn, built_org.login_dsn),
        attacks={"read_by_id", "read_by_range"},
        accepted={"read_by_id": "an error is never accepted"},
    )
    got = {each.attack.name: each for each in results}
    assert got["read_by_id"].outcome == "error"
    assert got["read_by_id"].failed
    assert "something went wrong here" in got["read_by_id"].evidence
    assert got["read_by_range"].outcome == "held"


def test_a_proof_fails_if_the_attackers_context_does_not_open(built_org: Built) -> None:
    with built_org.owner() as owner:
        run(
            owner,
            'revoke select on all tables in schema "App" from authenticated',
            'revoke usage on schema "App" from authenticated',
        )
    with pytest.raises(TenantryError, match="none of their own rows"):
        run_attacks(
            built_org.project,
            AttackedDatabase(built_org.database.dsn, built_org.login_dsn),
        )


@pytest.fixture
def built_org(database: Database, tmp_path: Path) -> Built:
    return build_org(database, tmp_path)


def test_the_catalog_names_the_right_that_would_allow_an_attack(database: Database) -> None:
    built = build_clinic(database)
    with built.owner() as owner:
        results = ask_rights(owner, built.project)
        assert {each.attack.name for each in results if each.failed} == {
            "lock_table",
            "fill_the_lock_table",
            "end_others_sessions",
        }
        assert all(each.by == "rights" for each in results)
        silent = [each for each in results if each.outcome == "not applicable"]
        assert all("tried on a copy" in each.evidence for each in silent)
        asked = len(results) - len(silent)
        run(
            owner,
            "grant truncate, trigger on clinic.locations to authenticated",
            "grant create on schema clinic to authenticated",
            "grant select on tenantry.seal_key to authenticated",
            f"alter default privileges for role {OWNER} grant execute on functions to public",
        )
        found = {
            each.attack.name: each.evidence
            for each in ask_rights(owner, built.project, accepted=ACCEPTED)
            if each.failed
        }
    assert asked > 20
    assert found["truncate"] == "authenticated has TRUNCATE on clinic.locations"
    assert found["create_in_schemas"] == "authenticated may create in schema clinic"
    assert {"create_trigger", "read_the_seal_key", "function_made_later"} <= set(found)
    assert "lock_table" not in found


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_of_attacks_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == attacks_page(), "stale: run `make docs`"


def test_every_attack_has_a_description_of_its_attempt_and_gain() -> None:
    for each in ATTACKS:
        assert each.tries.endswith("."), each.name
        assert each.gains.endswith("."), each.name
        assert each.name == each.name.lower()
