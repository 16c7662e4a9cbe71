"""Every kind of cell does in a database what the matrix says: policies, rights by column, and the functions that go with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import errors

from tenantry.errors import ManifestError
from tenantry.mapping import Project, resolve
from tenantry.postgres import EmbeddedServer
from tenantry.prove import prove
from tests.conftest import Database, fresh_database, running_server
from tests.isolation.build import LOGIN, Connection, build, run
from tests.isolation.studio import MANIFEST, SOURCE, TARGET, Caller, World, build_studio, studio_manifest


@pytest.fixture(scope="module")
def studio(servers: dict[int, EmbeddedServer], tmp_path_factory: pytest.TempPathFactory) -> Project:
    with fresh_database(running_server(servers, 18)) as database:
        return build_studio(database, tmp_path_factory.mktemp("studio")).project


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    built = build_studio(database, tmp_path)
    with built.owner() as owner, built.login() as login:
        yield World(built, owner, login)


@pytest.fixture
def world_each(database_each: Database, tmp_path: Path) -> Iterator[World]:
    built = build_studio(database_each, tmp_path)
    with built.owner() as owner, built.login() as login:
        yield World(built, owner, login)


def _value(connection: Connection, query: str, *values: object) -> object:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


# -- rows that tenants share ------------------------------------------------------------------------------------------


def test_a_share_lets_members_of_the_other_tenant_read_while_it_holds(world_each: World) -> None:
    world = world_each
    here, there = world.here, world.there
    ours, theirs = (world.put("pots", studio_id=studio, title="Jug") for studio in (here, there))
    potter, guest, boss = world.person(potter=here), world.person(guest=here), world.person(is_super=True)
    assert potter.sees("pots") == {ours}
    loan = world.put("loans", studio_id=there, guest_id=here, what="shows")
    # A share that was not accepted shows no rows, and its sender cannot accept it.
    assert potter.sees("pots") == {ours}
    lender = world.person(master=there)
    for statement in ("update studio.loans set agreed_at = now()", "update studio.loans set guest_id = studio_id"):
        with pytest.raises(errors.InsufficientPrivilege):
            lender.rows(statement)
    with pytest.raises(errors.InsufficientPrivilege):
        lender.rows(
            "insert into studio.loans (studio_id, guest_id, what, agreed_at) values (%s, %s, 'shows', now())",
            there,
            here,
        )
    run(world.owner, "update studio.loans set agreed_at = now()")
    assert potter.sees("pots") == {ours, theirs}
    assert potter.sees("studios") == {here, there}
    # The share asks for a rank in the studio that receives; and it gives in one direction.
    assert guest.sees("pots") == {ours}
    assert world.person(master=there).sees("pots") == {theirs}
    assert boss.sees("pots") == {ours, theirs}
    # Reading, and nothing else: neither the rows nor who else may see them.
    for statement in (
        "update studio.pots set title = 'Mine' where id = %s returning id",
        "delete from studio.pots where id = %s returning id",
    ):
        assert world.person(master=here).touched(statement, theirs) == 0
    with pytest.raises(errors.InsufficientPrivilege):
        potter.rows("insert into studio.pots (studio_id, title) values (%s, 'Bowl')", there)
    assert loan not in world.person(master=here).sees("loans")
    # From the next statement on it holds no more.
    for end, again in (
        ("update studio.loans set ends_at = now()", "update studio.loans set ends_at = null"),
        ("update studio.loans set what = 'tools'", "update studio.loans set what = 'shows'"),
        (f"update studio.studios set closed = true where id = '{there}'", "update studio.studios set closed = false"),
        (f"update studio.studios set closed = true where id = '{here}'", "update studio.studios set closed = false"),
        ("update studio.loans set agreed_at = null", "update studio.loans set agreed_at = now()"),
        ("delete from studio.loans", ""),
    ):
        run(world.owner, end)
        assert theirs not in potter.sees("pots"), end
        if again:
            run(world.owner, again)
            assert theirs in potter.sees("pots")


def test_a_share_opens_others_own_rows_too(world: World) -> None:
    reader, author, colleague = (
        world.person(guest=world.here),
        world.person(guest=world.there),
        world.person(guest=world.there),
    )
    note = world.put("notes", studio_id=world.there, person_id=author.profile, body="Slip")
    assert author.sees("notes") == {note}
    assert reader.sees("notes") == colleague.sees("notes") == set()
    world.put("loans", studio_id=world.there, guest_id=world.here, what="notes")
    assert reader.sees("notes") == {note}
    assert colleague.sees("notes") == set()
    assert reader.touched("update studio.notes set body = 'x' where id = %s returning id", note) == 0


def test_a_share_is_one_array_comparison_which_an_index_serves(world_each: World) -> None:
    with world_each.login.transaction():
        run(world_each.login, "set local role authenticated", "set local enable_seqscan = off")
        rows = world_each.login.execute("explain select count(*) from studio.studios").fetchall()
        plan = "\n".join(str(row[0]) for row in rows)
    assert "InitPlan" in plan
    assert "SubPlan" not in plan
    assert "Index Cond: (id = ANY" in plan


def test_an_unknown_share_is_an_error_and_no_empty_answer(world: World) -> None:
    potter = world.person(potter=world.here)
    for share in ("'show'", "null"):
        with pytest.raises(errors.InvalidParameterValue, match="no such share"):
            potter.rows(f"select tenantry.shared({share})")
    with pytest.raises(errors.InsufficientPrivilege):
        world.visitor.rows("select tenantry.shared('shows')")


# -- rows without a tenant --------------------------------------------------------------------------------------------


def test_rows_without_a_tenant_are_read_by_all_who_sign_in_and_written_by_super_admins(world_each: World) -> None:
    world = world_each
    common, ours, theirs = (
        world.put("glazes", studio_id=studio, recipe="Celadon") for studio in (None, world.here, world.there)
    )
    master, stranger, boss = world.person(master=world.here), world.person(), world.person(is_super=True)
    assert master.sees("glazes") == {common, ours}
    assert stranger.sees("glazes") == {common}
    assert boss.sees("glazes") == {common, ours, theirs}
    change = "update studio.glazes set recipe = 'Tenmoku' where id = %s returning id"
    remove = "delete from studio.glazes where id = %s returning id"
    assert [master.touched(change, row) for row in (ours, common, theirs)] == [1, 0, 0]
    assert [master.touched(remove, row) for row in (common, theirs)] == [0, 0]
    put = "insert into studio.glazes (studio_id, recipe) values (%s, 'Shino') returning id"
    assert master.touched(put, world.here) == 1
    for who, studio in (
        (master, None),
        (master, world.there),
        (stranger, None),
        (world.person(guest=world.here), world.here),
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            who.rows(put, studio)
    assert boss.touched(put, None) == 1
    assert boss.touched(change, common) == 1
    assert boss.touched(remove, common) == 1
    # No row ever changes its tenant, not even to none.
    with pytest.raises(errors.InsufficientPrivilege):
        boss.rows("update studio.glazes set studio_id = null where id = %s", ours)
    with pytest.raises(errors.InsufficientPrivilege):
        world.visitor.sees("glazes")


# -- public rows ------------------------------------------------------------------------------------------------------


def test_anonymous_clients_read_only_public_columns_of_public_rows(world_each: World) -> None:
    world = world_each
    shown = world.put("pots", studio_id=world.here, title="Vase", on_show=True, price=40, cost=7)
    world.put("pots", studio_id=world.here, title="Seconds", on_show=True, price=0)
    hidden = world.put("pots", studio_id=world.there, title="Test", price=9)
    for who in (world.visitor, world.person(), world.person(potter=world.here)):
        assert shown in who.sees("pots")
        assert hidden not in who.sees("pots")
    assert world.visitor.sees("pots") == {shown}
    assert world.visitor.rows("select title, price from studio.pots") == [("Vase", 40)]
    for statement in (
        "select cost from studio.pots",
        "select * from studio.pots",
        "update studio.pots set title = 'x'",
        "insert into studio.pots (studio_id, title) values (gen_random_uuid(), 'x')",
        "delete from studio.pots",
        "select id from studio.notes",
        "select tenantry.tenants('guest')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            world.visitor.rows(statement)
    # Everybody sees it, but only the studio may change it.
    assert (
        world.person(master=world.there).touched("update studio.pots set title = 'x' where id = %s returning id", shown)
        == 0
    )


def test_a_public_table_is_read_by_everybody_and_written_by_super_admins(world: World) -> None:
    fair = world.put("fairs", city="Delft", fee=12)
    for who in (world.visitor, world.person(), world.person(guest=world.here)):
        assert who.sees("fairs") == {fair}
        with pytest.raises(errors.InsufficientPrivilege):
            who.rows("insert into studio.fairs (city) values ('Faenza')")
    assert world.person().sees("fairs", "fee") == {12}
    with pytest.raises(errors.InsufficientPrivilege):
        world.visitor.sees("fairs", "fee")
    assert world.person(is_super=True).touched("update studio.fairs set fee = 13 returning id") == 1


# -- what hangs on a membership ---------------------------------------------------------------------------------------


def test_rows_are_ones_own_through_another_table(world_each: World) -> None:
    world = world_each
    small, large = (world.put("kilns", studio_id=world.here, name=name) for name in ("small", "large"))
    same = world.put("kilns", studio_id=world.there, id=small, name="of the same id")
    assert same == small
    mine, others, elsewhere = (
        world.put("firings", studio_id=studio, kiln_id=kiln, cone=6)
        for studio, kiln in ((world.here, small), (world.here, large), (world.there, small))
    )
    potter = world.person(potter=world.here, guest=world.there)
    assert potter.sees("firings") == set()
    world.owner.execute("update studio.crew set kiln_id = %s where rank = 'potter'", [small])
    # The kiln of the other studio has the same id, and is not theirs.
    assert potter.sees("firings") == {mine}
    change = "update studio.firings set cone = 7 where id = %s returning id"
    assert [potter.touched(change, row) for row in (mine, others, elsewhere)] == [1, 0, 0]
    put = "insert into studio.firings (studio_id, kiln_id, cone) values (%s, %s, 1) returning id"
    assert potter.touched(put, world.here, small) == 1
    for studio, kiln in ((world.here, large), (world.there, small)):
        with pytest.raises(errors.InsufficientPrivilege):
            potter.rows(put, studio, kiln)
    # Who gives a row away cannot.
    with pytest.raises(errors.InsufficientPrivilege):
        potter.rows("update studio.firings set kiln_id = %s where id = %s", large, mine)
    run(world.owner, "update studio.crew set left_at = now()")
    assert potter.sees("firings") == set()


# -- rights -----------------------------------------------------------------------------------------------------------


def test_rows_that_only_grow_are_never_changed_not_even_by_the_service(world_each: World) -> None:
    world = world_each
    potter, boss = world.person(potter=world.here), world.person(is_super=True)
    assert (
        potter.touched("insert into studio.journal (studio_id, entry) values (%s, 'fired') returning id", world.here)
        == 1
    )
    with pytest.raises(errors.InsufficientPrivilege):
        world.person(guest=world.here).rows(
            "insert into studio.journal (studio_id, entry) values (%s, 'x')", world.here
        )
    for statement in ("update studio.journal set entry = 'x'", "delete from studio.journal", "truncate studio.journal"):
        for who in (potter, boss):
            with pytest.raises(errors.InsufficientPrivilege):
                who.rows(statement)
        with world.built.database.connect() as admin:
            run(admin, "set role service_role")
            with pytest.raises(errors.InsufficientPrivilege):
                run(admin, statement)
    assert len(boss.sees("journal")) == 1


def test_no_client_reaches_tables_of_the_service(world: World) -> None:
    world.put("licences", studio_id=world.here, token="t")
    for who in (world.person(master=world.here), world.person(is_super=True), world.visitor):
        for statement in (
            "select id from studio.licences",
            "delete from studio.licences",
            "update studio.licences set token = 'x'",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                who.rows(statement)


def test_clients_give_and_change_the_listed_columns_only(world_each: World) -> None:
    world = world_each
    master, boss = world.person(master=world.here), world.person(is_super=True)
    assert (
        master.touched(
            "insert into studio.pots (studio_id, title, price) values (%s, 'Mug', 9) returning id", world.here
        )
        == 1
    )
    assert master.touched("update studio.pots set title = 'Cup', on_show = true returning id") == 1
    for who in (master, boss):
        for statement in (
            f"insert into studio.pots (studio_id, title, cost) values ('{world.here}', 'x', 1)",
            f"insert into studio.pots (studio_id, title, on_show) values ('{world.here}', 'x', true)",
            "update studio.pots set price = 1",
            "update studio.pots set cost = 1",
            "update studio.pots set studio_id = studio_id",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                who.rows(statement)


def test_service_owner_and_backup_have_only_the_needed_access(world: World) -> None:
    built = world.built
    for studio in (world.here, world.there):
        world.put("pots", studio_id=studio, title="Jug")
    for role, reads, writes in (
        ("service_role", True, {"INSERT", "UPDATE", "DELETE"}),
        ("tenantry_backup", True, set()),
        ("tenantry_definer", False, set()),
        ("anon", False, set()),
        (LOGIN, False, set()),
    ):
        with built.database.connect() as admin:
            held = {
                privilege
                for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
                for table in built.project.target.tables
                if _value(admin, "select has_table_privilege(%s, %s, %s)", role, f"studio.{table.name}", privilege)
            }
            assert held == writes, role
            assert _value(admin, "select has_schema_privilege(%s, 'studio', 'CREATE')", role) is False
            if reads:
                run(admin, f"set role {role}")
                assert _value(admin, "select count(*) from studio.pots") == 2
    # The owner is bound by row-level security, and sees every row by a policy of its own.
    with built.owner() as owner:
        assert _value(owner, "select count(*) from studio.pots") == 2
        run(owner, "drop policy owner_all on studio.pots")
        assert _value(owner, "select count(*) from studio.pots") == 0


def test_later_objects_are_closed(world: World) -> None:
    run(
        world.owner,
        "create table studio.later (id serial primary key)",
        "create view studio.seen as select * from studio.pots",
    )
    for role in ("anon", "authenticated", LOGIN, "service_role"):
        for name in ("later", "seen"):
            assert _value(world.owner, "select has_table_privilege(%s, %s, 'SELECT')", role, f"studio.{name}") is False
        assert _value(world.owner, "select has_sequence_privilege(%s, 'studio.later_id_seq', 'USAGE')", role) is False


# -- functions --------------------------------------------------------------------------------------------------------


def test_helpers_answer_for_the_caller_in_the_words_of_the_application(world_each: World) -> None:
    world = world_each
    here, there = world.here, world.there
    master, guest, boss = world.person(master=here), world.person(guest=here), world.person(is_super=True)

    def ask(who: Caller, expression: str, *values: object) -> object:
        return who.rows(f"select {expression}", *values)[0][0]

    assert ask(master, "studio.get_user_studios()") == [here]
    assert ask(world.person(), "studio.get_user_studios()") == []
    assert sorted(ask(boss, "studio.get_user_studios()")) == sorted([here, there])  # type: ignore[call-overload]
    for expression in (
        "studio.has_studio_access(%s)",
        "tenantry.has_tenant_access(%s, 'guest')",
        "tenantry.has_tenant_access(%s)",
    ):
        assert [ask(guest, expression, studio) for studio in (here, there, None)] == [True, False, False]
    for expression in (
        "studio.is_studio_admin(%s)",
        "tenantry.is_tenant_admin(%s)",
        "tenantry.has_tenant_access(%s, 'master')",
    ):
        assert [ask(who, expression, here) for who in (master, guest, boss)] == [True, False, True]
    for expression in ("studio.check_studio_access(%s)", "tenantry.check_tenant_access(%s)"):
        ask(guest, expression, here)
        for refused in (there, None):
            with pytest.raises(errors.InsufficientPrivilege, match="you are not guest in tenant"):
                ask(guest, expression, refused)
    with pytest.raises(errors.InsufficientPrivilege) as caught:
        ask(guest, "tenantry.check_tenant_access(%s, 'master')", here)
    assert caught.value.diag.message_primary == f"you are not master in tenant {here}"
    assert caught.value.diag.message_hint
    with pytest.raises(errors.InvalidParameterValue, match="no such role"):
        ask(guest, "tenantry.has_tenant_access(%s, 'admin')", here)
    run(world.owner, "update studio.crew set left_at = now()")
    assert ask(master, "studio.has_studio_access(%s)", here) is False
    for expression in ("studio.get_user_studios()", "tenantry.has_tenant_access(gen_random_uuid())"):
        with pytest.raises(errors.InsufficientPrivilege):
            ask(world.visitor, expression)


def test_a_helper_runs_with_the_rights_of_its_caller_and_a_fixed_path(world: World) -> None:
    rows = world.owner.execute(
        "select p.prosecdef, array_to_string(p.proconfig, ';'), has_function_privilege('anon', p.oid, 'EXECUTE')"
        "  from pg_proc as p where p.proname like any (array['%studio%', '%tenant_a%'])"
    ).fetchall()
    assert rows == [(False, "search_path=pg_catalog, pg_temp", False)] * 7


def test_a_function_of_the_application_keeps_its_name(database: Database, tmp_path: Path) -> None:
    own = "create function get_user_studios() returns text language sql immutable return 'mine';"
    built = build(database, studio_manifest(tmp_path), SOURCE, [TARGET, own])
    with built.owner() as owner:
        assert _value(owner, "select studio.get_user_studios()") == "mine"
        assert _value(owner, "select to_regprocedure('studio.is_studio_admin(uuid)')") is not None


# -- what the manifest must not say -----------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, str, str]] = {
    "a kind that is none": ('kilns.access = "managed"', 'kilns.access = "manged"', "did you mean 'managed'"),
    "signed in for rows of a tenant": (
        'kilns.access = "managed"', 'kilns.access = { kind = "managed", select = "signed_in" }', "rows of every tenant"),
    "writing without signing in": (
        'kilns.access = "managed"', 'kilns.access = { kind = "managed", insert = "public" }', "without signing in"),
    "an append-only table that is changed": (
        '"append_only"', '{ kind = "append_only", update = "master" }', "neither change nor delete"),
    "rows without a tenant where all have one": (
        'kilns.access = "managed"', 'kilns.access = { kind = "system" }', "is never null"),
    "a share that is not there": ('shared = "notes"', 'shared = "note"', r"\[shares.note\]; did you mean 'notes'"),
    "a share of what has no tenant": (
        'cones.access = "shared"', 'cones.access = { kind = "shared", shared = "shows", select = { own = "id" } }',
        "no tenant that could share"),
    "a share of what nobody reads": (
        'licences.access = "service"', 'licences.access = { kind = "service", shared = "shows" }', "shared extends"),
    "a share by a column that is not there": ('to = "guest_id"', 'to = "guest"', "did you mean 'guest_id'"),
    "a period that clients prolong": (
        'loans.access = { kind = "managed", update = "service"', 'loans.access = { kind = "managed", update_columns = ["ends_at"]',
        "clients may change loans.ends_at of a share that was accepted"),
    "an acceptance by default": (
        'accepted = "agreed_at is not null"', 'accepted = "made_at is not null"', "is filled by its default"),
    "a share with oneself": ('to = "guest_id"', 'to = "studio_id"', "is the sharing tenant"),
    "a share for a rank that is not there": ('role = "potter"\nactive', 'role = "poter"\nactive', "did you mean 'potter'"),
    "a condition over nothing": ('public = "on_show', 'public = "on_shaw', "did you mean 'on_show'"),
    "a public column that is hidden": (
        'public_columns = ["studio_id",', 'hidden = ["cost"]\npublic_columns = ["cost",', "is hidden"),
    "a column that never changes": ('update_columns = ["title",', 'update_columns = ["studio_id",', "never changes"),
    "columns of an insert that nobody does": (
        'licences.access = "service"', 'licences.access = { kind = "service", insert_columns = ["token"] }', "no client may"),
    "a circle": (
        'kilns.access = "managed"',
        'kilns.access = { kind = "managed", select = { own = "id", through = { table = "firings", match = "kiln_id",'
        ' profile = "id" }, role = "guest" } }\n'
        'crew2 = 1', "depends on itself"),
    "a way through what nobody sees": (
        '{ table = "crew", match = "kiln_id", profile = "person_id" }, role = "guest"',
        '{ table = "licences", match = "id", profile = "id" }, role = "guest"', "no client sees"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_an_impossible_cell_is_refused_before_any_change(kind: str, studio: Project, tmp_path: Path) -> None:
    old, new, said = WRONG[kind]
    if kind == "a circle":
        new = new.partition("\n")[0]
        firings = '{ own = "kiln_id", through = { table = "crew", match = "kiln_id", profile = "person_id" }, role = "guest" }'
        text = MANIFEST.replace(old, new).replace(
            f"select = {firings}", 'select = { own = "kiln_id -> kilns", role = "guest" }'
        )
    else:
        assert old in MANIFEST
        text = MANIFEST.replace(old, new)
    with pytest.raises(ManifestError, match=said):
        resolve(studio_manifest(tmp_path, text), studio.source, studio.target)


def test_an_undecided_table_is_named(studio: Project, tmp_path: Path) -> None:
    text = MANIFEST.replace('kilns.access = "managed"\n', "")
    with pytest.raises(ManifestError, match="the target table kilns is not decided"):
        resolve(studio_manifest(tmp_path, text), studio.source, studio.target)


# -- the proof ----------------------------------------------------------------------------------------------------------


def test_the_proof_tries_shared_public_and_tenantless_rows(world: World) -> None:
    built = world.built
    proof = prove(built.project, owner_dsn=built.owner_dsn, login_dsn=built.login_dsn)
    assert proof.passed
    tried = {(cell.role, cell.command, cell.table, cell.relation): cell.got for cell in proof.cells}
    assert tried["potter", "select", "pots", "shared row"] == "allow"
    assert tried["guest", "select", "pots", "shared row"] == "refuse"
    assert tried["potter", "select", "pots", "other tenant"] == "refuse"
    assert tried["master", "update", "pots", "shared row"] == "refuse"
    assert tried["signed in", "select", "glazes", "system row"] == "allow"
    assert tried["master", "update", "glazes", "system row"] == "refuse"
    assert tried["super admin", "update", "glazes", "system row"] == "allow"
    assert tried["anon", "select", "pots", "public row"] == "allow"
    assert tried["anon", "select", "pots", "any row"] == "refuse"
    assert tried["anon", "select", "notes", "any row"] == "refuse"
    assert tried["potter", "insert", "pots", "own tenant"] == "allow"
    assert tried["super admin", "update", "pots", "column price"] == "refuse"


@pytest.mark.parametrize(
    ("statement", "cell"),
    [
        ("update studio.loans set what = 'shows'", None),
        (
            "alter policy select_guest on studio.pots using (studio_id = any ((select tenantry.tenants('guest'))::uuid[]))",
            ("potter", "select", "pots", "shared row"),
        ),
        (
            "alter policy update_potter on studio.pots using (studio_id = any ((select tenantry.tenants('potter')"
            " || tenantry.shared('shows'))::uuid[])) with check (true)",
            ("potter", "update", "pots", "shared row"),
        ),
        ("alter policy visitors_select on studio.pots using (true)", ("anon", "select", "pots", "any row")),
        (
            "alter policy update_master on studio.glazes using (studio_id is null) with check (true)",
            ("master", "update", "glazes", "system row"),
        ),
    ],
)
def test_the_proof_fails_in_the_very_cell(world: World, statement: str, cell: tuple[str, ...] | None) -> None:
    built = world.built
    run(world.owner, statement)
    proof = prove(built.project, owner_dsn=built.owner_dsn, login_dsn=built.login_dsn, tables=["pots", "glazes"])
    failed = {(each.role, each.command, each.table, each.relation) for each in proof.failures}
    assert (cell in failed) if cell is not None else not failed
    # Visitors read what is public, and that alone is passed over by the static checks.
    opened = {check.name for check in proof.checks if not check.passed}
    assert opened == ({"policy_conditions"} if "true" in statement else set())
