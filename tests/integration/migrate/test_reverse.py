"""Changes of the target are carried back into the source: what differs is written, all else stays byte by byte."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from clinic.platform import tokens
from tenantry.derivation.derived import Reading
from tenantry.derivation.forward import Deriver
from tenantry.errors import ManifestError
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import Project, resolve
from tenantry.migrate.copy.quarantine import entries, mend, retry
from tenantry.migrate.replay.reverse import Counts, Reversed, Reverser
from tenantry.migrate.verify.sums import corrected_mappings
from tenantry.postgres import EmbeddedServer, ident, idents, load_sql
from tests.conftest import Database, fresh_database, running_server, version_parameters
from tests.migrate_support import (
    OWNER,
    clinic_manifest,
    engine,
    grant_rights,
    let_own,
    migrate,
    project_of,
    rows,
    shared_template,
)

Row = dict[str, Any]
AUDIT = {"created_at", "updated_at"}


class Sides:
    """A migrated database whose target is written, with the changes replayed into the source."""

    def __init__(self, database: Database, manifest: Manifest | None = None, owner: str = OWNER) -> None:
        self.database, self.owner = database, owner
        with database.connect() as admin:
            for table, trigger in admin.execute(
                "select tgrelid::regclass::text, tgname from pg_trigger where tgname ~ '^tenantry_' and not tgisinternal"
            ).fetchall():
                admin.execute(f"drop trigger {trigger} on {table}")
            for table in (manifest or clinic_manifest()).tables:
                admin.execute(
                    f"alter table {ident((manifest or clinic_manifest()).target.schema_name, table)} enable trigger user"
                )
        with engine(database, owner) as connection:
            connection.execute(load_sql("tenantry.journal.sql", "reverse"))
        self.project: Project = project_of(database, manifest, owner=owner)
        self.reverser = Reverser(self.project)
        self.seen: dict[str, set[str]] = {}

    def write(self, *statements: str) -> list[tuple[Any, ...]]:
        """Write the target, as its owner, and note which rows that changed; returns what the last statement returned."""
        before = self.target()
        with engine(self.database, self.owner) as connection, connection.transaction():
            connection.execute(f"set local search_path = {ident(self.project.target.schema)}")
            connection.execute("set constraints all deferred")
            for statement in statements:
                cursor = connection.execute(statement)
            found = cursor.fetchall() if cursor.description else []
        after = self.target()
        for table, now in after.items():
            was = before[table]
            self.seen.setdefault(table, set()).update(
                key for key in was.keys() | now.keys() if was.get(key) != now.get(key)
            )
        return found

    def back(self, changed: Mapping[str, Sequence[str]] | None = None) -> Reversed:
        """One round with what was noted, or with the rows named; what was noted is noted for the next round as well."""
        with engine(self.database, self.owner) as connection, connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            connection.execute(
                "create temporary table tenantry_changed (table_name text, legacy_id text) on commit drop"
            )
            for table, keys in (self.seen if changed is None else changed).items():
                connection.execute("insert into tenantry_changed select %s, unnest(%s::text[])", [table, sorted(keys)])
            return self.reverser.apply(connection)

    def target(self) -> dict[str, dict[str, str]]:
        """Every row of the target's fed tables, as text, by legacy id."""
        return {
            name: dict(
                rows(self.database, f"select legacy_id, t::text from {ident(self.project.target.schema, name)} t")
            )
            for name in self.project.by_target
        }

    def source(self) -> dict[str, dict[str, Row]]:
        """Every source row as its columns' texts, by its key's text."""
        found: dict[str, dict[str, Row]] = {}
        with self.database.connect() as connection:
            for table in self.project.source_tables:
                texts = ", ".join(f"{ident(column.name)}::text" for column in table.columns)
                names = [column.name for column in table.columns]
                key = self.project.of_source(table.name)[0].key
                found[table.name] = {}
                for row in connection.execute(f"select {texts} from {ident(table.schema, table.name)}"):
                    cells = dict(zip(names, row, strict=True))
                    found[table.name]["|".join(str(cells[name]) for name in key)] = cells
        return found

    def changes(self, before: dict[str, dict[str, Row]]) -> dict[tuple[str, str], Row | None]:
        """What is not as it was in the source: new rows whole, changed rows by their changed cells, None for deleted ones."""
        found: dict[tuple[str, str], Row | None] = {}
        for table, now in self.source().items():
            was = before[table]
            for key in was.keys() | now.keys():
                if key not in now:
                    found[table, key] = None
                elif key not in was:
                    found[table, key] = now[key]
                elif now[key] != was[key]:
                    found[table, key] = {name: cell for name, cell in now[key].items() if was[key][name] != cell}
        return found

    def kept(self) -> dict[tuple[str, str, str], str]:
        return {
            (table, key, column): reason
            for table, key, column, reason in rows(
                self.database, "select table_name, legacy_id, column_name, reason from tenantry.kept"
            )
        }

    def conflicts(self) -> list[tuple[Any, ...]]:
        return rows(
            self.database,
            "select table_name, legacy_id, source_key, winner, loser, reason from tenantry.conflict order by id",
        )

    def disagreements(self) -> list[str]:
        """Where up(source), derived as the verification does, is not the target, and `kept` does not say so."""
        kept = self.kept()
        found = []
        with engine(self.database, self.owner) as connection:
            corrected = corrected_mappings(connection)
            for mapping in self.project:
                names = [c.name for c in mapping.columns if c.kind not in ("python", "account")]
                derivation = Deriver(self.project, Reading.VERIFY, corrected=corrected).derive(mapping)
                want = {
                    row[0]: row[1:]
                    for row in connection.execute(
                        derivation.statement(f"select legacy_id, {idents(names)} from derived")
                    )
                }
                table = ident(self.project.target.schema, mapping.target.name)
                length = len(mapping.legacy_prefix)
                got = {
                    row[0]: row[1:]
                    for row in connection.execute(f"select legacy_id, {idents(names)} from {table}")
                    if row[0][:length] == mapping.legacy_prefix
                }
                for key in want.keys() | got.keys():
                    if (mapping.target.name, key, "") in kept:
                        continue
                    if key not in want or key not in got:
                        if not any((mapping.target.name, key, "id") == each for each in kept):
                            found.append(
                                f"{mapping.name} {key}: {'only in the target' if key in got else 'only in the source'}"
                            )
                        continue
                    found += [
                        f"{mapping.name} {key}.{name}: source {a!r}, target {b!r}"
                        for name, a, b in zip(names, want[key], got[key], strict=True)
                        if a != b and (mapping.target.name, key, name) not in kept
                    ]
        return found

    def assert_in_line(self) -> None:
        """Both sides agree but for what is kept, and another round finds nothing to do."""
        assert self.disagreements() == []
        kept, conflicts, before = self.kept(), self.conflicts(), self.source()
        again = self.back()
        assert again.written == 0
        assert self.changes(before) == {}
        assert (self.kept(), self.conflicts()) == (kept, conflicts)


@pytest.fixture
def sides(finished: Database) -> Sides:
    return Sides(finished)


def pick(sides: Sides, query: str) -> Any:
    """One row of the source or the target, by a query; its only value where it has one."""
    found = rows(sides.database, query)
    assert found, query
    return found[0][0] if len(found[0]) == 1 else found[0]


def keys_of(sides: Sides, listed: str) -> set[str]:
    """The source keys of a list of the journal."""
    return {row[0] for row in rows(sides.database, f"select source_key from tenantry.{listed}")}


GOOD = (
    "select v.id from public.metric_values v join clinic.metric_values t on t.legacy_id = v.id"
    " where not exists (select from tenantry.merged m where m.into_key = v.id)"
)


# -- Clinic: one row ---------------------------------------------------------------------------------------------------


def test_equal_sides_cause_no_writes_and_no_kept_rows(sides: Sides) -> None:
    before = sides.source()
    done = sides.back({table: list(found) for table, found in sides.target().items()})
    assert (done.written, done.kept, done.conflicts) == (0, 0, 0)
    assert sides.changes(before) == {}
    assert sides.kept() == {}


def test_a_number_that_means_the_same_keeps_its_text_while_its_neighbours_are_written(sides: Sides) -> None:
    key, text = pick(sides, f"select id, value from public.metric_values where value ~ '[$(]' and id in ({GOOD})")
    before = sides.source()
    sides.write(f"update metric_values set source_sheet = 'Sheet \"9\"', external_id = null where legacy_id = '{key}'")
    done = sides.back()
    assert done.tables == {"metric_values": Counts(updated=1)}
    assert sides.changes(before) == {
        ("metric_values", key): {
            name: cell
            for name, cell in {"source_sheet": 'Sheet "9"', "external_id": None}.items()
            if before["metric_values"][key][name] != cell
        }
    }
    assert sides.source()["metric_values"][key]["value"] == text
    sides.assert_in_line()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1234567.5", "1234567.5"),
        ("-0.07", "-0.07"),
        ("1000", "1000"),
        ("0", "0"),
        ("null", "N/A"),
        ("12.3400", "12.34"),
    ],
)
def test_a_changed_number_becomes_the_plain_text_that_is_read_as_that_number(
    sides: Sides, value: str, text: str
) -> None:
    key = pick(sides, f"{GOOD} and v.value not in ('0', '1000')")
    before = sides.source()
    sides.write(f"update metric_values set value = {value} where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"value": text}}
    sides.assert_in_line()


def test_a_day_is_written_as_its_plain_midnight(sides: Sides) -> None:
    key = pick(sides, f"{GOOD} and v.date <> date_trunc('day', v.date)")
    before = sides.source()
    sides.write(f"update metric_values set date = '2031-03-09' where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"date": "2031-03-09 00:00:00"}}
    sides.assert_in_line()


def test_fractions_of_a_second_that_the_source_does_not_hold_are_cut_off_and_kept(sides: Sides) -> None:
    key = pick(sides, GOOD)
    before = sides.source()
    sides.write(f"update metric_values set updated_at = '2031-03-09 10:00:00.999999+00' where legacy_id = '{key}'")
    done = sides.back()
    assert sides.changes(before) == {("metric_values", key): {"updated_at": "2031-03-09 10:00:00.999"}}
    assert done.tables == {"metric_values": Counts(updated=1, kept=1)}
    assert list(sides.kept()) == [("metric_values", key, "updated_at")]
    sides.assert_in_line()
    sides.write(f"update metric_values set updated_at = '2031-03-09 10:00:00.999+00' where legacy_id = '{key}'")
    assert (sides.back().written, sides.kept()) == (0, {})


def test_the_tenant_column_is_omitted_when_derivable_and_written_otherwise(sides: Sides) -> None:
    key, provider = pick(
        sides,
        f"select id, provider_id from public.metric_values where clinic_id is null and provider_id is not null and id in ({GOOD})",
    )
    before = sides.source()
    sides.write(f"update metric_values set value = 4711 where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"value": "4711"}}
    sides.write(
        f"update metric_values set provider_id = null, connection_id = null, date = '2031-01-01' where legacy_id = '{key}'"
    )
    sides.back()
    changed = sides.source()["metric_values"][key]
    assert changed["clinic_id"] == before["providers"][provider]["clinic_id"]
    assert (changed["provider_id"], changed["data_source_id"]) == (None, None)
    sides.assert_in_line()


def test_references_become_the_old_ids_of_their_rows(sides: Sides) -> None:
    key, provider = pick(
        sides,
        f"select v.id, p.id from public.metric_values v join public.providers p on p.clinic_id = v.clinic_id"
        f" and p.id <> v.provider_id where v.id in ({GOOD}) order by 1, 2",
    )
    before = sides.source()
    sides.write(
        f"update metric_values v set provider_id = p.id, metric_definition_id = (select id from metric_definitions order by"
        f" legacy_id limit 1), date = '2031-01-01' from providers p where p.legacy_id = '{provider}' and v.legacy_id = '{key}'"
    )
    sides.back()
    changed = sides.changes(before)["metric_values", key]
    assert changed is not None
    assert changed["provider_id"] == provider
    assert changed.get("metric_definition_id", min(before["metric_definitions"])) == min(before["metric_definitions"])
    sides.assert_in_line()


def test_a_role_goes_back_by_the_inverse_map_and_what_would_make_an_administrator_is_kept(sides: Sides) -> None:
    key = pick(
        sides,
        "select id from public.users where role = 'front_desk' and id in (select legacy_id from clinic.user_clinic_roles)",
    )
    before = sides.source()
    sides.write(f"update user_clinic_roles set role = 'clinic_admin' where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("users", key): {"role": "office_manager"}}
    sides.assert_in_line()
    sides.write(f"update user_clinic_roles set role = 'viewer' where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("users", key): {"role": "office_manager"}}
    assert list(sides.kept()) == [("user_clinic_roles", key, "role")]
    sides.assert_in_line()


def test_a_token_is_decrypted_and_never_named(sides: Sides) -> None:
    key = pick(sides, "select id from public.data_sources where refresh_token is not null")
    before = sides.source()
    stored = [value.hex() for value in tokens.encrypt(["new access", before["data_sources"][key]["refresh_token"]])]
    sides.write(
        f"update google_credentials set access_token_encrypted = '\\x{stored[0]}', refresh_token_encrypted = '\\x{stored[1]}'"
        f" where legacy_id = '{key}'"
    )
    done = sides.back()
    assert sides.changes(before) == {("data_sources", key): {"access_token": "new access"}}
    assert done.tables["data_sources"] == Counts(updated=1)
    sides.assert_in_line()


def test_an_undecryptable_token_is_kept_and_blocks_no_other_row(sides: Sides) -> None:
    first, second = (row[0] for row in rows(sides.database, "select id from public.data_sources order by id limit 2"))
    before = sides.source()
    good = tokens.encrypt(["good"])[0].hex()
    sides.write(
        f"update google_credentials set access_token_encrypted = 'tampered' where legacy_id = '{first}'",
        f"update google_credentials set access_token_encrypted = '\\x{good}' where legacy_id = '{second}'",
    )
    sides.back()
    assert sides.changes(before) == {("data_sources", second): {"access_token": "good"}}
    assert list(sides.kept()) == [("google_credentials", first, "access_token_encrypted")]
    assert "tampered" not in str(sides.kept())


def test_one_of_several_sheets_goes_back_and_the_list_is_kept(sides: Sides) -> None:
    key = pick(sides, "select id from public.data_sources")
    before = sides.source()
    sides.write(
        f"update spreadsheet_connections set sheet_names = array['A', 'B'], sync_status = 'paused', spreadsheet_name = 'Title'"
        f" where legacy_id = '{key}'"
    )
    sides.back()
    status = before["data_sources"][key]["connection_status"]
    changed = {"sheet_name": "A"} | (
        {} if status in ("disconnected", "paused") else {"connection_status": "disconnected"}
    )
    assert sides.changes(before) == {("data_sources", key): changed}
    assert {column for _, _, column in sides.kept()} == {"sheet_names", "spreadsheet_name"}
    sides.assert_in_line()


def test_ids_in_documents_are_turned_back(sides: Sides) -> None:
    key, metric = pick(
        sides,
        "select w.legacy_id, m.legacy_id from clinic.widgets w, clinic.metric_definitions m order by w.legacy_id, m.legacy_id desc",
    )
    before = sides.source()
    sides.write(
        f"update widgets set config = jsonb_build_object('metricDefinitionIds', jsonb_build_array((select id from metric_definitions"
        f" where legacy_id = '{metric}')), 'colour', 'red') where legacy_id = '{key}'"
    )
    sides.back()
    config = f'{{"colour": "red", "metricDefinitionIds": ["{metric}"]}}'
    assert sides.changes(before) == {("widgets", key): {"config": config}}
    sides.assert_in_line()


def test_columns_that_the_source_does_not_have_are_kept_once_they_hold_something(sides: Sides) -> None:
    key = pick(sides, "select legacy_id from clinic.providers")
    member = pick(sides, "select legacy_id from clinic.user_clinic_roles")
    before = sides.source()
    sides.write(
        f"update providers set provider_code = 'X1' where legacy_id = '{key}'",
        f"update user_clinic_roles set is_active = false where legacy_id = '{member}'",
    )
    assert sides.back().written == 0
    assert sides.changes(before) == {}
    assert set(sides.kept()) == {("providers", key, "provider_code"), ("user_clinic_roles", member, "is_active")}
    sides.assert_in_line()


# -- Clinic: rows that come and go ---------------------------------------------------------------------------------------

CLINIC = "(select id from clinics where legacy_id = '{0}')"


def test_target_native_rows_are_written_back_with_their_references(sides: Sides) -> None:
    before = sides.source()
    access = tokens.encrypt(["born access"])[0].hex()
    made = sides.write(
        "insert into clinics (name, location, time_zone) values ('Born Clinic', 'Boise, ID', 'America/Boise')",
        "insert into metric_definitions (name, description, data_type, category) values ('Born', 'metric', 'currency', 'financial')",
        "insert into profiles (email, name) values ('born@clinic.example', 'Born Person')",
        "insert into providers (clinic_id, name, provider_type) select id, 'Born Provider', 'dentist' from clinics where name = 'Born Clinic'",
        "insert into user_clinic_roles (clinic_id, profile_id, role) select c.id, p.id, 'staff' from clinics c, profiles p"
        " where c.name = 'Born Clinic' and p.name = 'Born Person'",
        f"insert into google_credentials (clinic_id, access_token_encrypted, scope, owner_label) select id, '\\x{access}',"
        " array['https://www.googleapis.com/auth/spreadsheets.readonly'], 'Born Sheet' from clinics where name = 'Born Clinic'",
        "insert into spreadsheet_connections (clinic_id, credential_id, name, spreadsheet_id, spreadsheet_name, sheet_names, sync_frequency)"
        " select clinic_id, id, 'Born Sheet', 'sheet-1', 'Born Sheet', array['Tab'], 'daily' from google_credentials"
        " where owner_label = 'Born Sheet'",
        "insert into column_mappings (clinic_id, connection_id, metric_definition_id, sheet_name, column_name, mapping_config)"
        " select c.clinic_id, c.id, m.id, '', 'B', '{\"column\": \"B\"}' from spreadsheet_connections c, metric_definitions m"
        " where c.name = 'Born Sheet' and m.name = 'Born'",
        "insert into metric_values (clinic_id, metric_definition_id, provider_id, connection_id, date, value, source_type)"
        " select c.clinic_id, m.id, p.id, c.id, '2031-02-03', 12.5, 'form' from spreadsheet_connections c, metric_definitions m, providers p"
        " where c.name = 'Born Sheet' and m.name = 'Born' and p.name = 'Born Provider'",
        "insert into goals (clinic_id, metric_definition_id, time_period, start_date, end_date, target_value)"
        " select c.id, m.id, 'monthly', '2031-01-01', '2031-01-31', 99 from clinics c, metric_definitions m"
        " where c.name = 'Born Clinic' and m.name = 'Born'",
        "insert into dashboards (clinic_id, profile_id, name) select clinic_id, profile_id, 'Born Board' from user_clinic_roles u"
        " join profiles p on p.id = u.profile_id where p.name = 'Born Person'",
        "insert into widgets (clinic_id, dashboard_id, widget_type, position_x, position_y, width, height, config)"
        " select d.clinic_id, d.id, 'chart', 0, 0, 2, 2, jsonb_build_object('providerIds', jsonb_build_array(p.id)) from dashboards d, providers p"
        " where d.name = 'Born Board' and p.name = 'Born Provider'",
        "update dashboards d set layout_config = jsonb_build_object('widgets', jsonb_build_array(jsonb_build_object('id', w.id, 'x', 1)))"
        " from widgets w where w.dashboard_id = d.id and d.name = 'Born Board'",
        "select (select id::text from clinics where name = 'Born Clinic'), (select id::text from metric_definitions where name = 'Born'),"
        " (select id::text from profiles where name = 'Born Person'), (select id::text from providers where name = 'Born Provider'),"
        " (select id::text from spreadsheet_connections where name = 'Born Sheet'),"
        " (select id::text from widgets w where exists (select from dashboards d where d.id = w.dashboard_id and d.name = 'Born Board'))",
    )
    clinic, metric, person, provider, sheet, widget = made[0]
    done = sides.back()
    assert done.conflicts == 0
    new = {table: row for (table, _), row in sides.changes(before).items()}
    assert {table: counts.inserted for table, counts in done.tables.items()} == dict.fromkeys(new, 1)
    assert all(row is not None for row in new.values())

    def has(table: str, **cells: str | None) -> None:
        row = new[table]
        assert row is not None
        assert {name: row[name] for name in cells} == cells

    has("clinics", id=clinic, name="Born Clinic", location="Boise, ID", status="active")
    has("metric_definitions", id=metric, data_type="currency", is_composite="false", calculation_formula=None)
    has("users", id=person, email="born@clinic.example", role="front_desk", clinic_id=clinic, last_login=None)
    has("providers", id=provider, clinic_id=clinic, provider_type="dentist")
    has("data_sources", id=sheet, name="Born Sheet", sheet_name="Tab", access_token="born access", refresh_token=None,
        connection_status="connected", clinic_id=clinic)  # fmt: skip
    has("column_mappings", data_source_id=sheet, metric_definition_id=metric, column_name="B", transformation_rule=None)
    has(
        "metric_values",
        date="2031-02-03 00:00:00",
        value="12.5",
        clinic_id=clinic,
        provider_id=provider,
        data_source_id=sheet,
    )
    has("goals", target_value="99", start_date="2031-01-01 00:00:00", clinic_id=clinic, provider_id=None)
    has(
        "dashboards", user_id=person, is_default="false", layout_config=f'{{"widgets": [{{"x": 1, "id": "{widget}"}}]}}'
    )
    has("widgets", id=widget, config=f'{{"providerIds": ["{provider}"]}}', width="2")
    sides.assert_in_line()
    assert {column for _, _, column in sides.kept()} == {"", "id", "credential_id", *AUDIT}

    gone = sides.write(
        *(f"delete from {table} where clinic_id = '{clinic}'" for table in (
            "widgets", "dashboards", "goals", "metric_values", "column_mappings", "spreadsheet_connections",
            "google_credentials", "user_clinic_roles", "providers")),
        f"delete from profiles where id = '{person}'",
        f"delete from metric_definitions where id = '{metric}'",
        f"delete from clinics where id = '{clinic}'",
    )  # fmt: skip
    assert gone == []
    done = sides.back()
    assert (done.deleted, done.conflicts) == (10, 0)
    assert sides.changes(before) == {}
    assert sides.kept() == {}
    sides.assert_in_line()


def test_a_person_without_a_membership_waits_in_the_target_for_one(sides: Sides) -> None:
    before = sides.source()
    ((person,),) = sides.write(
        "insert into profiles (email, name) values ('new@clinic.example', 'New') returning id::text"
    )
    done = sides.back()
    assert done.tables["users"] == Counts(kept=1)
    assert sides.kept() == {("profiles", person, ""): "users.role cannot be made"}
    sides.assert_in_line()
    sides.seen.clear()
    ((member, clinic),) = sides.write(
        f"insert into user_clinic_roles (clinic_id, profile_id, role) select id, '{person}', 'provider' from clinics"
        " order by legacy_id limit 1 returning id::text, (select legacy_id from clinics c where c.id = clinic_id)"
    )
    sides.back()
    made = sides.changes(before)["users", person]
    assert made is not None
    assert (made["role"], made["clinic_id"], made["email"]) == ("dentist", clinic, "new@clinic.example")
    assert [key for key, reason in sides.kept().items() if key[2] == "" and "stands in" not in reason] == []
    sides.assert_in_line()
    # The membership's own id does not exist in the source: its end is found by the recorded id.
    sides.seen.clear()
    sides.write(f"delete from user_clinic_roles where legacy_id = '{member}'")
    sides.back()
    assert sides.changes(before)["users", person] == made
    assert ("user_clinic_roles", person, "") in sides.kept()


def test_of_several_memberships_the_first_counts_and_the_next_when_it_ends(sides: Sides) -> None:
    person, _, clinic = pick(
        sides,
        "select u.id, u.role, c.legacy_id from public.users u join clinic.user_clinic_roles m on m.legacy_id = u.id"
        " join clinic.profiles p on p.id = m.profile_id and p.legacy_id = u.id"
        " join clinic.clinics c on c.legacy_id <> u.clinic_id where u.role = 'dentist' and not exists"
        " (select from clinic.user_clinic_roles o where o.profile_id = p.id and o.legacy_id <> u.id)",
    )
    sides.write(
        "delete from widgets where dashboard_id in (select d.id from dashboards d join profiles p on p.id = d.profile_id"
        f" where p.legacy_id = '{person}')",
        f"delete from dashboards d using profiles p where p.id = d.profile_id and p.legacy_id = '{person}'",
    )
    sides.back()
    before = sides.source()
    ((second,),) = sides.write(
        "insert into user_clinic_roles (clinic_id, profile_id, role) select c.id, p.id, 'clinic_admin' from clinics c, profiles p"
        f" where c.legacy_id = '{clinic}' and p.legacy_id = '{person}' returning id::text"
    )
    sides.back()
    assert sides.changes(before) == {}
    assert sides.kept() == {("user_clinic_roles", second, ""): "no row of users to stand in"}
    sides.assert_in_line()
    sides.write(f"delete from user_clinic_roles where legacy_id = '{person}'")
    sides.back()
    assert sides.changes(before) == {("users", person): {"role": "office_manager", "clinic_id": clinic}}
    sides.assert_in_line()


def test_a_deleted_row_is_deleted_from_the_source_with_its_merged_rows(sides: Sides) -> None:
    survivor = pick(sides, "select into_key from tenantry.merged where mapping = 'metric_values'")
    merged = keys_of(sides, f"merged where mapping = 'metric_values' and into_key = '{survivor}'")
    before = sides.source()
    sides.write(f"update metric_values set value = 5 where legacy_id = '{survivor}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", survivor): {"value": "5"}}
    sides.write(f"delete from metric_values where legacy_id = '{survivor}'")
    done = sides.back()
    assert sides.changes(before) == dict.fromkeys(("metric_values", key) for key in merged | {survivor})
    assert done.tables["metric_values"].deleted == 1 + len(merged)
    sides.assert_in_line()


def test_a_parent_to_which_only_rows_of_the_source_refer_is_a_conflict_and_stays(sides: Sides) -> None:
    metric = pick(
        sides,
        "select metric_definition_id from public.metric_values v join tenantry.quarantine q on q.mapping = 'metric_values'"
        " and q.state = 'open' and q.source_key = v.id",
    )
    before = sides.source()
    key = pick(sides, f"{GOOD} and v.metric_definition_id <> '{metric}' and v.value <> '7'")
    refers = f"(select id from metric_definitions where legacy_id = '{metric}')"
    sides.write(
        *(
            f"delete from {table} where metric_definition_id = {refers}"
            for table in ("widgets", "column_mappings", "goals", "metric_values")
        ),
        f"delete from metric_definitions where legacy_id = '{metric}'",
        f"update metric_values set value = 7 where legacy_id = '{key}'",
    )
    done = sides.back()
    changes = sides.changes(before)
    assert changes.pop(("metric_values", key)) == {"value": "7"}
    assert changes
    assert set(changes.values()) == {None}
    assert ("metric_definitions", metric) not in changes
    quarantined = keys_of(sides, "quarantine where source_table = 'metric_values' and state = 'open'")
    assert not {key for table, key in changes if table == "metric_values"} & quarantined
    assert sides.conflicts() == [
        (
            "metric_definitions",
            metric,
            metric,
            "source",
            {"deleted": True},
            "rows of metric_values that stay in the source refer to it",
        )
    ]
    assert done.tables["metric_definitions"] == Counts(conflicts=1)
    assert sides.back().conflicts == 1
    assert len(sides.conflicts()) == 1


def test_rows_that_wait_in_the_quarantine_are_never_deleted(sides: Sides) -> None:
    keys = keys_of(sides, "quarantine where mapping = 'metric_values' and state = 'open'")
    merged = keys_of(sides, "merged where mapping = 'metric_values'")
    before = sides.source()
    assert sides.back({"metric_values": [*keys, *merged]}).written == 0
    assert sides.changes(before) == {}


def test_a_value_that_only_one_side_may_hold_twice_is_a_conflict_of_that_row_alone(sides: Sides) -> None:
    # The source knows e-mail addresses by their spelling, and has those in quarantine as well.
    taken = pick(sides, "select source_key from tenantry.quarantine where mapping = 'profiles' and state = 'open'")
    people = [row[0] for row in rows(sides.database, "select legacy_id from clinic.profiles order by 1 limit 3")]
    with engine(sides.database) as connection:
        connection.execute("update public.users set email = 'taken@clinic.example' where id = %s", [taken])
    before = sides.source()
    sides.write(
        f"update profiles set email = 'taken@clinic.example', name = 'One' where legacy_id = '{people[0]}'",
        f"update profiles set name = 'Two' where legacy_id = '{people[1]}'",
        f"update profiles set email = 'free@clinic.example' where legacy_id = '{people[2]}'",
    )
    done = sides.back()
    assert sides.changes(before) == {
        ("users", people[1]): {"name": "Two"},
        ("users", people[2]): {"email": "free@clinic.example"},
    }
    assert (done.tables["users"].updated, done.tables["users"].conflicts) == (2, 1)
    ((table, legacy, _, winner, loser, reason),) = sides.conflicts()
    assert (table, legacy, winner, loser["name"]) == ("profiles", people[0], "source", "One")
    assert "users_email_key" in reason


def test_unique_values_may_be_exchanged_and_handed_on(sides: Sides) -> None:
    (a, mail_a), (b, mail_b), (c, mail_c), (d, _) = rows(
        sides.database,
        "select p.legacy_id, p.email from clinic.profiles p join public.users u on (u.id, u.email) = (p.legacy_id, p.email) order by 1 limit 4",
    )
    before = sides.source()
    sides.write(
        "update profiles set email = legacy_id || '@parked.example'",
        f"update profiles set email = '{mail_b}' where legacy_id = '{a}'",
        f"update profiles set email = '{mail_a}' where legacy_id = '{b}'",
        f"update profiles set email = 'moved@clinic.example' where legacy_id = '{c}'",
        f"update profiles set email = '{mail_c}' where legacy_id = '{d}'",
        *(f"update profiles set email = '{mail}' where legacy_id = '{key}'" for key, mail in rows(
            sides.database, "select legacy_id, email from clinic.profiles") if key not in (a, b, c, d)),
    )  # fmt: skip
    done = sides.back()
    assert done.conflicts == 0
    assert sides.changes(before) == {
        ("users", a): {"email": mail_b},
        ("users", b): {"email": mail_a},
        ("users", c): {"email": "moved@clinic.example"},
        ("users", d): {"email": mail_c},
    }
    sides.assert_in_line()


def test_a_dashboard_goes_to_the_old_account_that_its_person_had_in_that_clinic(sides: Sides) -> None:
    survivor, account = pick(
        sides,
        "select g.into_key, g.source_key from tenantry.merged g join clinic.user_clinic_roles m on m.legacy_id = g.source_key"
        " where g.mapping = 'profiles'",
    )
    before = sides.source()
    sides.write(
        "insert into dashboards (clinic_id, profile_id, name) select clinic_id, profile_id, 'Second' from user_clinic_roles"
        f" where legacy_id in ('{account}', '{survivor}')"
    )
    sides.back()
    assert {row["user_id"] for row in sides.changes(before).values() if row} == {account, survivor}
    sides.assert_in_line()


def test_a_row_deleted_and_made_again_with_its_unique_value_goes_through(sides: Sides) -> None:
    key, mail = pick(
        sides,
        "select p.legacy_id, p.email from clinic.profiles p join public.users u on (u.id, u.email) = (p.legacy_id, p.email)"
        " where not exists (select from clinic.dashboards d where d.profile_id = p.id)"
        " and 1 = (select count(*) from clinic.user_clinic_roles m where m.profile_id = p.id)",
    )
    clinic = pick(sides, f"select clinic_id from public.users where id = '{key}'")
    before = sides.source()
    ((person,),) = sides.write(
        f"delete from user_clinic_roles where legacy_id = '{key}'",
        f"delete from profiles where legacy_id = '{key}'",
        f"insert into profiles (email, name) values ('{mail}', 'Again')",
        f"insert into user_clinic_roles (clinic_id, profile_id, role) select c.id, p.id, 'staff' from clinics c, profiles p"
        f" where c.legacy_id = '{clinic}' and p.email = '{mail}'",
        f"select id::text from profiles where email = '{mail}'",
    )
    done = sides.back()
    assert done.conflicts == 0
    changes = sides.changes(before)
    assert changes.pop(("users", key)) is None
    ((_, made),) = changes.items()
    assert made is not None
    assert (made["id"], made["email"], made["name"]) == (person, mail, "Again")
    sides.assert_in_line()


def test_ten_thousand_rows_are_carried_back_in_a_moment(sides: Sides) -> None:
    with engine(sides.database) as connection:
        connection.execute(
            "insert into public.metric_values select 'bulk-' || n, '2030-01-01'::timestamp + n % 3000 * interval '1 day', ' $ ' || n || '.50 ',"
            " 'form', 'Sheet', null, m.id, c.id from generate_series(1, 10000) n, (select id from public.clinics limit 1) c,"
            " (select id from public.metric_definitions limit 1) m".replace(
                "m.id, c.id", "m.id, c.id, null, null, now(), date_trunc('second', now())"
            )
        )
        connection.execute(
            "insert into clinic.metric_values (clinic_id, id, legacy_id, metric_definition_id, date, value, source_type,"
            " source_sheet, created_at, updated_at)"
            " select c.id, gen_random_uuid(), s.id, d.id, s.date::date + substr(s.id, 6)::int * 4000, substr(s.id, 6)::int + 1, 'form', 'Sheet',"
            " s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC' from public.metric_values s"
            " join clinic.clinics c on c.legacy_id = s.clinic_id join clinic.metric_definitions d on d.legacy_id = s.metric_definition_id"
            " where s.id like 'bulk-%'"
        )
        connection.execute("analyze public.metric_values, clinic.metric_values")
    started = time.monotonic()
    done = sides.back({"metric_values": [f"bulk-{n}" for n in range(1, 10001)]})
    took = time.monotonic() - started
    assert done.tables["metric_values"].updated == 10_000
    assert pick(sides, "select value, date::text from public.metric_values where id = 'bulk-7'") == (
        "8",
        "2106-09-07 00:00:00",
    )
    assert took < 6, f"took {took:.1f} s"


# -- another schema: names in quotes, keys of several columns, trees, circles, parts -----------------------------------------

LAB_OWNER = "lab_owner"

LAB_SOURCE = """
create schema "Old Lab";
set search_path = "Old Lab";
create type "Grade" as enum ('low', 'high', 'Very High');
create domain percents as text check (value ~ '%$');
create table "Site" (id text primary key, "siteCode" varchar(8) not null unique, "zoneName" text not null);
create table nodes (id text primary key, "siteId" text not null references "Site" on delete restrict,
    parent_id text references nodes on delete restrict, label varchar(10) not null unique, "Grade" "Grade" not null default 'low',
    seen timestamp(3), local_at timestamp, day timestamptz, "isOpen" text not null default 'no', price text, ratio real,
    share percents, extra jsonb, wait interval, tags text[], size varchar(3), generated text generated always as (label || '!') stored);
create table shelves (room text, no integer, "siteId" text not null references "Site", title text not null, primary key (room, no));
create table boxes (id text primary key, room text, no integer, site_code varchar(8) not null references "Site" ("siteCode") on update cascade,
    foreign key (room, no) references shelves on delete cascade);
create table teams (id text primary key, "siteId" text not null references "Site", lead text, name text);
create table members (id text primary key, team text not null references teams on delete restrict, name text);
alter table teams add foreign key (lead) references members on delete restrict;
create table counters (id bigint generated always as identity primary key, "siteId" text not null references "Site", n integer not null);
create table devices (id text primary key, "siteId" text not null references "Site", serial text not null, note text, "noteKind" text, secret text);
create table visits (id bigint primary key, "siteId" text not null references "Site", guest text, client text, note text);

insert into "Site" values ('s1', 'north', 'America/New_York'), ('s2', 'south', 'Europe/Berlin');
insert into nodes (id, "siteId", parent_id, label, "Grade", seen, local_at, day, "isOpen", price, ratio, share, extra, wait, tags, size)
values ('n1', 's1', null, 'root', 'high', '2024-01-01 10:00:00.5', '2024-07-01 12:00', '2024-03-10 05:00+00', ' YES ', ' $ 1,000.50 ', 0.1, '12%',
        '{"kin": ["n2", "gone"]}', '1 mon', '{a,b}', ' S '),
       ('n2', 's1', 'n1', 'leaf', 'Very High', null, null, null, 'off', null, null, null, null, '30 days', null, null),
       ('n3', 's2', null, 'other', 'low', null, null, null, '0', '(5)', 1e20, '7.5%', null, null, '{}', 'M');
insert into shelves values ('A', 1, 's1', 'one'), ('A', 2, 's1', 'two'), ('B "x"', 1, 's2', 'three');
insert into boxes values ('b1', 'A', 1, 'north'), ('b2', 'A', 2, 'north'), ('b3', 'B "x"', 1, 'south'), ('b4', 'A', null, 'north');
insert into teams values ('t1', 's1', null, 'team');
insert into members values ('m1', 't1', 'lead'), ('m2', 't1', 'hand');
update teams set lead = 'm1';
insert into counters ("siteId", n) values ('s1', 1), ('s2', 2);
insert into devices values ('d1', 's1', 'x-1', 'a note', 'plain', 'pass-1'), ('d2', 's1', 'x-2', null, null, 'pass-2');
insert into visits values (1, 's1', 'Ann', null, 'n'), (2, 's1', null, 'Bob', 'm');
analyze;
"""

_OWN = """site_id uuid not null, id uuid not null default gen_random_uuid(), legacy_id text not null, primary key (site_id, id),
    unique (site_id, legacy_id), foreign key (site_id) references sites (id) deferrable initially immediate"""

LAB_TARGET = f"""
create type role as enum ('reader', 'writer');
create domain share_of as numeric(6,4) check (value >= 0);
create table sites (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, code text not null unique, zone text not null);
create table people (id uuid primary key default gen_random_uuid());
create table crew (person_id uuid not null, role role not null, site_id uuid not null,
    id uuid not null default gen_random_uuid(), primary key (site_id, id));
create table nodes (parent_id uuid, label text not null, grade smallint not null, seen timestamptz, local_at timestamptz, day date,
    "isOpen" boolean not null, price numeric(12,2), ratio double precision, share share_of, extra jsonb, wait interval, tags text[], size text,
    shout text not null, {_OWN}, foreign key (site_id, parent_id) references nodes (site_id, id) deferrable initially immediate);
create table shelves (room text not null, no integer not null, title text not null, {_OWN});
create table boxes (shelf_id uuid, {_OWN}, foreign key (site_id, shelf_id) references shelves (site_id, id) deferrable initially immediate);
create table teams (lead uuid, name text, {_OWN});
create table members (team uuid not null, name text, {_OWN},
    foreign key (site_id, team) references teams (site_id, id) deferrable initially immediate);
alter table teams add foreign key (site_id, lead) references members (site_id, id) deferrable initially immediate;
create table counters (n integer not null, {_OWN});
create table devices (serial text not null, password text, {_OWN});
create table device_notes (device_id uuid not null, body text not null, {_OWN});
create table visits (guest text, client text, note text, {_OWN});
create function born() returns trigger language plpgsql as $$ begin new.legacy_id := new.id::text; return new; end $$;
do $$
declare name text;
begin
    foreach name in array '{{sites,nodes,shelves,boxes,teams,members,counters,devices,device_notes,visits}}'::text[] loop
        execute format('create trigger born before insert on %I for each row when (new.legacy_id is null) execute function born()', name);
    end loop;
end $$;
"""

_ACCESS = 'access = { select = "service", insert = "service", update = "service", delete = "service" }'

LAB_MANIFEST = f"""
name = "lab"
[source]
schema = "Old Lab"
[source.secrets]
devices = ["secret"]
[source.down.devices]
noteKind = "case when device_notes.id is not null then 'of ' || t.serial end"
note = "device_notes.body"
[target]
schema = "lab"
files = ["target.sql"]
[ids]
namespace = "lab"
[tenant]
table = "sites"
column = "site_id"
[membership]
table = "crew"
profile = "person_id"
role = "role"
[roles]
order = ["reader", "writer"]

[tables.people]
{_ACCESS}
[tables.crew]
{_ACCESS}
[tables.sites]
from = "Site"
{_ACCESS}
[tables.sites.columns]
code = {{ from = "siteCode" }}
zone = {{ from = "zoneName" }}
[tables.nodes]
from = "nodes"
tenant = ["siteId"]
{_ACCESS}
[tables.nodes.columns]
grade = {{ from = "Grade", map = {{ low = 1, high = 2, "Very High" = 3 }} }}
local_at = {{ as = "local_time", zone = "tenant.zone" }}
day = {{ as = "local_day", zone = "tenant.zone" }}
isOpen = {{ as = "boolean" }}
price = {{ as = "money" }}
share = {{ as = "percent" }}
size = {{ as = "trim" }}
extra = {{ as = "json_ids", ids = {{ "kin[*]" = "nodes" }} }}
shout = {{ up = "upper(s.label)" }}
[tables.shelves]
from = "shelves"
{_ACCESS}
[tables.boxes]
from = "boxes"
tenant = ["site_code"]
{_ACCESS}
[tables.boxes.columns]
shelf_id = {{ from = "no", ref = "shelves" }}
[tables.teams]
from = "teams"
{_ACCESS}
[tables.members]
from = "members"
tenant = ["team"]
{_ACCESS}
[tables.counters]
from = "counters"
{_ACCESS}
[tables.devices]
from = "devices"
{_ACCESS}
[tables.devices.columns]
password = {{ from = "secret" }}
[tables.device_notes]
from = "devices"
part = "note"
where = "s.note is not null"
{_ACCESS}
[tables.device_notes.columns]
device_id = {{ from = "id", ref = "devices" }}
body = {{ from = "note" }}
[tables.visits]
{_ACCESS}
[tables.visits.sources.guest]
from = "visits"
where = "s.guest is not null"
[tables.visits.sources.client]
from = "visits"
part = "client"
where = "s.client is not null"
"""


def fill_lab(database: Database, manifest: Manifest) -> None:
    with database.connect() as admin:
        for statement in LAB_SOURCE.split(";\n"):
            admin.execute(statement)
    let_own(database, manifest, owner=LAB_OWNER, schema="Old Lab")
    with database.connect() as admin:
        admin.execute(f'grant usage on schema "Old Lab" to {LAB_OWNER}')
    migrate(database, manifest, owner=LAB_OWNER)


def lab_manifest(folder: Path) -> Manifest:
    (folder / "target.sql").write_text(LAB_TARGET)
    (folder / "tenantry.toml").write_text(LAB_MANIFEST)
    return load_manifest(folder / "tenantry.toml")


@pytest.fixture(params=version_parameters())
def lab(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sides]:
    manifest = lab_manifest(tmp_path)
    server = running_server(servers, request.param)
    template = shared_template(server, "reverse_lab", lambda made: fill_lab(made, manifest))
    with fresh_database(server, template) as database:
        grant_rights(database, manifest, owner=LAB_OWNER)
        yield Sides(database, manifest, LAB_OWNER)


@pytest.fixture
def lab_project(database: Database, tmp_path: Path) -> Project:
    manifest = lab_manifest(tmp_path)
    with database.connect() as admin:
        for statement in LAB_SOURCE.split(";\n"):
            admin.execute(statement)
    let_own(database, manifest, owner=LAB_OWNER, schema="Old Lab")
    with database.connect() as admin:
        admin.execute(f'grant usage on schema "Old Lab" to {LAB_OWNER}')
    return project_of(database, manifest, owner=LAB_OWNER)


def test_nothing_of_the_other_schema_is_written_without_a_change(lab: Sides) -> None:
    before = lab.source()
    done = lab.back({table: list(found) for table, found in lab.target().items()})
    assert lab.disagreements() == []
    assert lab.kept() == {}
    assert lab.changes(before) == {}
    assert (done.written, done.conflicts) == (0, 0)


def test_each_kind_of_value_goes_back_in_a_form_that_is_read_as_the_same(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update nodes set label = 'new', shout = 'NEW', grade = 1, seen = '2024-05-06 07:08:09.123+00', local_at = '2024-11-03 06:30:00+00',"
        " day = '2024-03-31', \"isOpen\" = false, price = -0.07, ratio = 2.5, share = 0.125, wait = '30 days', tags = '{x,NULL}', size = 'XL',"
        " extra = jsonb_build_object('kin', jsonb_build_array((select id from nodes where legacy_id = 'n1'), 'free')) where legacy_id = 'n1'",
        "update nodes set price = 0, ratio = 0.25, \"isOpen\" = true where legacy_id = 'n3'",
    )
    lab.back()
    assert lab.changes(before) == {
        ("nodes", "n1"): {
            "label": "new", "generated": "new!", "Grade": "low", "seen": "2024-05-06 07:08:09.123", "local_at": "2024-11-03 01:30:00",
            "day": "2024-03-31 04:00:00+00", "isOpen": "false", "price": "-0.07", "ratio": "2.5", "wait": "30 days",
            "tags": "{x,NULL}", "size": "XL", "extra": '{"kin": ["n1", "free"]}',
        },
        ("nodes", "n3"): {"price": "0", "ratio": "0.25", "isOpen": "true"},
    }  # fmt: skip
    # The source's domain wants a percent sign, which a plain number does not have.
    assert set(lab.kept()) == {("nodes", "n1", "share")}
    lab.assert_in_line()


def test_a_value_that_the_source_cannot_hold_is_kept_in_the_target_only(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update nodes set label = 'longer than ten', shout = 'LONGER THAN TEN', size = 'XXXL', ratio = 0.1234567890123, grade = 9,"
        " local_at = '2024-11-03 05:30:00+00' where legacy_id = 'n1'"
    )
    lab.back()
    assert lab.changes(before) == {}
    assert {column for _, _, column in lab.kept()} == {"label", "shout", "size", "ratio", "grade", "local_at"}
    lab.assert_in_line()


def test_a_tree_is_made_and_taken_down_whatever_the_order(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "insert into nodes (site_id, id, label, shout, grade, \"isOpen\", parent_id) select s.id, ('00000000-0000-4000-8000-00000000000' || n)::uuid,"
        " 'tree ' || n, 'TREE ' || n, 1, true, nullif('00000000-0000-4000-8000-00000000000' || n + 1, '00000000-0000-4000-8000-000000000006')::uuid"
        " from generate_series(1, 5) n, sites s where code = 'north'",
        "update nodes set parent_id = '00000000-0000-4000-8000-000000000001' where legacy_id = 'n2'",
    )
    done = lab.back()
    assert done.tables == {"nodes": Counts(inserted=5, updated=1)}
    made = lab.source()["nodes"]
    key = "00000000-0000-4000-8000-00000000000"
    assert [made[f"{key}{n}"]["parent_id"] for n in range(1, 6)] == [*(f"{key}{n}" for n in range(2, 6)), None]
    assert made["n2"]["parent_id"] == f"{key}1"
    lab.assert_in_line()
    lab.write("update nodes set parent_id = (select id from nodes where legacy_id = 'n1') where legacy_id = 'n2'",
              f"delete from nodes where legacy_id like '{key}%'")  # fmt: skip
    done = lab.back()
    assert done.tables == {"nodes": Counts(updated=1, deleted=5)}
    assert lab.changes(before) == {}
    lab.assert_in_line()


def test_rows_that_refer_to_each_other_in_a_circle_are_made_and_taken_down(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "insert into teams (site_id, name) select id, 'born' from sites where code = 'south'",
        "insert into members (site_id, team, name) select site_id, id, 'first' from teams where name = 'born'",
        "update teams set lead = (select id from members where name = 'first') where name = 'born'",
    )
    done = lab.back()
    assert done.tables == {"teams": Counts(inserted=1), "members": Counts(inserted=1)}
    (team,) = [row for (table, _), row in lab.changes(before).items() if table == "teams"]
    (member,) = [row for (table, _), row in lab.changes(before).items() if table == "members"]
    assert team is not None
    assert member is not None
    assert (team["lead"], member["team"]) == (member["id"], team["id"])
    lab.assert_in_line()
    lab.write("delete from members", "delete from teams")
    done = lab.back()
    assert (done.deleted, done.conflicts) == (5, 0)
    assert lab.source()["teams"] == {}
    lab.assert_in_line()


def test_references_to_keys_of_several_columns_and_to_other_unique_columns(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update boxes set shelf_id = (select id from shelves where title = 'two') where legacy_id = 'b1'",
        "update boxes set shelf_id = null where legacy_id = 'b2'",
        "update shelves set title = 'III' where title = 'three'",
        "insert into boxes (site_id, shelf_id) select site_id, id from shelves where title = 'III'",
        "update sites set code = 'polar' where code = 'north'",
    )
    done = lab.back()
    assert done.conflicts == 0
    changes = lab.changes(before)
    ((_, born),) = [item for item in changes.items() if item[0][0] == "boxes" and item[0][1] not in before["boxes"]]
    assert born is not None
    assert {name: born[name] for name in ("room", "no", "site_code")} == {
        "room": 'B "x"',
        "no": "1",
        "site_code": "south",
    }
    assert {key: row for key, row in changes.items() if row is not born} == {
        ("Site", "s1"): {"siteCode": "polar"},
        ("boxes", "b1"): {"no": "2", "site_code": "polar"},
        ("boxes", "b2"): {"no": None, "site_code": "polar"},
        ("boxes", "b4"): {"site_code": "polar"},
        ("shelves", 'B "x"|1'): {"title": "III"},
    }
    lab.assert_in_line()


def test_rows_whose_id_cannot_be_a_key_of_the_source_are_in_the_target_only(lab: Sides) -> None:
    before = lab.source()
    made = lab.write(
        "insert into counters (site_id, n) select id, 5 from sites where code = 'north'",
        "insert into shelves (site_id, room, no, title) select id, 'C', 1, 'born' from sites where code = 'north'",
        "insert into visits (site_id, guest) select id, 'Cem' from sites where code = 'north'",
        "insert into boxes (site_id, shelf_id) select site_id, id from shelves where title = 'born'",
        "update shelves set room = 'Z' where title = 'one'",
        "update counters set n = 11 where n = 1",
        "select (select legacy_id from counters where n = 5), (select legacy_id from shelves where title = 'born'),"
        " (select legacy_id from visits where guest = 'Cem'),"
        " (select b.legacy_id from boxes b join shelves s on s.id = b.shelf_id where s.title = 'born')",
    )
    counter, shelf, visit, box = made[0]
    lab.back()
    changes = lab.changes(before)
    # The key of a shelf is its room and number, which stand in the target: it has a place in the source.
    assert changes.pop(("shelves", "C|1")) == {"room": "C", "no": "1", "siteId": "s1", "title": "born"}
    assert changes.pop(("boxes", box)) == {"id": box, "room": "C", "no": "1", "site_code": "north"}
    assert changes == {("counters", "1"): {"n": "11"}}
    assert set(lab.kept()) == {
        ("counters", counter, ""), ("visits", visit, ""), ("shelves", '["A", "1"]', "room"),
        ("shelves", shelf, "id"), ("shelves", '["C", "1"]', ""), ("boxes", box, "shelf_id"),
    }  # fmt: skip
    lab.assert_in_line()


def test_a_cascade_of_the_source_never_takes_along_what_only_the_source_has(lab: Sides) -> None:
    with engine(lab.database, LAB_OWNER) as connection:
        connection.execute("""insert into "Old Lab".boxes values ('only here', 'A', 1, 'north')""")
    before = lab.source()
    lab.write(
        "delete from boxes where legacy_id in ('b1', 'b2')",
        "delete from shelves where title in ('one', 'two')",
    )
    done = lab.back()
    assert lab.changes(before) == {("boxes", "b1"): None, ("boxes", "b2"): None, ("shelves", "A|2"): None}
    assert (done.tables["shelves"].deleted, done.tables["shelves"].conflicts) == (1, 1)
    assert lab.conflicts() == [
        (
            "shelves",
            '["A", "1"]',
            '["A", "1"]',
            "source",
            {"deleted": True},
            "rows of boxes that stay in the source refer to it",
        )
    ]
    with engine(lab.database, LAB_OWNER) as connection:
        connection.execute("""delete from "Old Lab".boxes where id = 'only here'""")
    assert lab.back().deleted == 1


def test_parts_of_a_row_follow_the_manifests_conditions(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update device_notes set body = 'another note'", "update devices set serial = 'y-2' where legacy_id = 'd2'"
    )
    lab.back()
    assert lab.changes(before) == {
        ("devices", "d1"): {"note": "another note"} | {"noteKind": "of x-1"},
        ("devices", "d2"): {"serial": "y-2"},
    }
    lab.assert_in_line()
    lab.write(
        "insert into device_notes (site_id, device_id, body) select site_id, id, 'late' from devices where legacy_id = 'd2'"
    )
    lab.back()
    assert lab.source()["devices"]["d2"]["note"] == "late"
    assert lab.source()["devices"]["d2"]["noteKind"] == "of y-2"
    lab.assert_in_line()
    lab.write("delete from device_notes")
    lab.back()
    assert {key: (row["note"], row["noteKind"]) for key, row in lab.source()["devices"].items()} == {
        "d1": (None, None),
        "d2": (None, None),
    }
    assert lab.kept() == {}
    lab.write("delete from devices where legacy_id = 'd1'")
    assert lab.back().tables["devices"] == Counts(deleted=1)
    lab.assert_in_line()


def test_a_source_row_goes_with_the_part_that_its_filter_puts_it_in(lab: Sides) -> None:
    before = lab.source()
    lab.write("update visits set note = 'x' where client = 'Bob'", "delete from visits where guest = 'Ann'")
    lab.back()
    assert lab.changes(before) == {("visits", "1"): None, ("visits", "2"): {"note": "x"}}
    lab.write("delete from visits")
    lab.back()
    assert lab.source()["visits"] == {}
    lab.assert_in_line()


def test_conflicts_contain_no_secrets(lab: Sides) -> None:
    with lab.database.connect() as admin:
        admin.execute("""alter table "Old Lab".devices add constraint odd check (serial !~ 'odd')""")
    before = lab.source()
    lab.write(
        "update devices set serial = 'odd one', password = 'new pass' where legacy_id = 'd1'",
        "update devices set password = 'other pass' where legacy_id = 'd2'",
    )
    done = lab.back()
    assert lab.changes(before) == {("devices", "d2"): {"secret": "other pass"}}
    assert done.tables["devices"] == Counts(updated=1, kept=2, conflicts=1)
    assert "pass" not in str([row[4:] for row in lab.conflicts()]).replace("password", "")
    ((_, _, _, _, loser, reason),) = lab.conflicts()
    assert loser["password"] == "(secret)"
    assert "withheld" in reason


def test_sql_of_the_manifest_that_fails_on_a_row_is_a_conflict_of_that_row_alone(lab: Sides) -> None:
    before = lab.source()
    lab.write(
        "update devices set serial = '1/0' where legacy_id = 'd1'",
        "update devices set serial = 'fine' where legacy_id = 'd2'",
    )
    text = lab.project.manifest.path.read_text().replace(
        "'of ' || t.serial", "'of ' || (10 / length(replace(t.serial, '1/0', '')))"
    )
    lab.project.manifest.path.write_text(text)
    manifest = load_manifest(lab.project.manifest.path)
    lab.reverser = Reverser(resolve(manifest, lab.project.source, lab.project.target))
    done = lab.back()
    assert lab.changes(before) == {("devices", "d2"): {"serial": "fine"}}
    assert done.tables["devices"].conflicts == 1
    assert [row[:4] for row in lab.conflicts()] == [("devices", "d1", "d1", "source")]
    assert lab.kept()["devices", "d1", ""] == "refused: see tenantry.conflict"


def test_many_rounds_in_one_session_and_one_transaction(sides: Sides) -> None:
    keys = [row[0] for row in rows(sides.database, f"{GOOD} and v.value not in ('0', '1', '2') limit 3")]
    with engine(sides.database) as connection:
        for n in range(3):
            with connection.transaction():
                connection.execute(
                    "create temporary table if not exists tenantry_changed (table_name text, legacy_id text) on commit delete rows"
                )
                connection.execute("insert into tenantry_changed values ('metric_values', %s)", [keys[n]])
                connection.execute("update clinic.metric_values set value = %s where legacy_id = %s", [n, keys[n]])
                assert sides.reverser.apply(connection).updated == 1
                assert sides.reverser.apply(connection).updated == 0
    assert sorted(pick(sides, f"select value from public.metric_values where id = '{key}'") for key in keys) == [
        "0",
        "1",
        "2",
    ]


def test_a_corrected_row_keeps_its_correction_until_the_cell_is_written(sides: Sides) -> None:
    key, number = pick(
        sides,
        "select source_key, id from tenantry.quarantine where mapping = 'metric_values' and state = 'open' and problems = 'value_invalid:value'",
    )
    original = sides.source()["metric_values"][key]["value"]
    with engine(sides.database) as connection:
        (entry,) = entries(connection, sides.project, ids=[number])
        mend(connection, sides.project, entry, {"value": "5"})
        assert retry(connection, sides.project, [number]).readmitted == 1
    before = sides.source()
    assert before["metric_values"][key]["value"] == original
    sides.write(f"update metric_values set source_sheet = 'after' where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"source_sheet": "after"}}
    sides.assert_in_line()
    sides.write(f"update metric_values set value = 6 where legacy_id = '{key}'")
    sides.back()
    assert sides.changes(before) == {("metric_values", key): {"source_sheet": "after", "value": "6"}}
    assert rows(sides.database, "select patch from tenantry.quarantine where id = %s", [number]) == [({},)]
    sides.assert_in_line()


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ("device = { note = \"t.serial\" }", "did you mean 'devices'?"),
        ("devices = { noted = \"t.serial\" }", "did you mean 'note'?"),
        ("devices = { id = \"t.serial\" }", "part of the key"),
        ("devices = { note = \"t.serials\" }", "no column 'serials'"),
        ("devices = { note = \"s.serial\" }", "only t and device_notes can be named here"),
        ("devices = { note = \"t.serial from x\" }", "without FROM"),
        ("nodes = { generated = \"t.label\" }", "generated column"),
    ],
)  # fmt: skip
def test_an_unsuitable_down_expression_is_refused_by_name(lab_project: Project, given: str, want: str) -> None:
    file = lab_project.manifest.path
    start, end = LAB_MANIFEST.index("[source.down.devices]"), LAB_MANIFEST.index("[target]")
    file.write_text(LAB_MANIFEST[:start] + f"[source.down]\n{given}\n" + LAB_MANIFEST[end:])
    with pytest.raises(ManifestError) as refused:
        Reverser(resolve(load_manifest(file), lab_project.source, lab_project.target))
    assert want in refused.value.message
    assert "source.down." in refused.value.message
