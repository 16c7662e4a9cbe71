"""The new application: its transactions over the target schema, as the service that it is; with rows that are born there."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from psycopg.types.json import Jsonb

from tests.chaos.ledger import Connection, Effects
from tests.chaos.work import Attributes, Skip, TakenBack, Work

_ROLES = ("staff", "provider", "clinic_admin")
"""Those that the old application knows; it has no word for a viewer."""
_VALUES = (
    "clinic_id, id, legacy_id, metric_definition_id, provider_id, connection_id, date, value, source_type, source_sheet,"
    " external_id"
)
_MARKS = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


def owners(connection: Connection, connections: int) -> dict[str, dict[str, tuple[int, Attributes]]]:
    """All rows of the target by source table and legacy id, with the number of the connection that they fall to."""

    def said(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    clinics = {
        row[1]: (i % connections, row[0])
        for i, row in enumerate(said("select legacy_id, id from clinic.clinics order by created_at, legacy_id"))
    }
    found: dict[str, dict[str, tuple[int, Attributes]]] = {
        "clinics": {key: (owner, {"id": id_, "clinic": id_}) for id_, (owner, key) in clinics.items()},
        "metric_definitions": {
            key: (0, {"id": id_}) for key, id_ in said("select legacy_id, id from clinic.metric_definitions order by 1")
        },
    }
    for table, name, more in (
        ("providers", "providers", "null"),
        ("data_sources", "spreadsheet_connections", "null"),
        ("column_mappings", "column_mappings", "null"),
        ("metric_values", "metric_values", "provider_id"),
        ("goals", "goals", "provider_id"),
        ("dashboards", "dashboards", "profile_id"),
        ("widgets", "widgets", "dashboard_id"),
    ):
        found[table] = {
            key: (clinics[clinic][0], {"id": id_, "clinic": clinic, "more": other, "born": False})
            for key, id_, clinic, other in said(
                f"select legacy_id, id, clinic_id, {more} from clinic.{name} order by legacy_id"
            )
        }
    # A person may be a member of several clinics, and of none if the membership went to the quarantine.
    memberships: dict[uuid.UUID, list[uuid.UUID]] = {}
    for profile, clinic in said("select profile_id, clinic_id from clinic.user_clinic_roles order by legacy_id"):
        memberships.setdefault(profile, []).append(clinic)
    found["users"] = {}
    for key, id_ in said("select legacy_id, id from clinic.profiles order by legacy_id"):
        here = memberships.get(id_, [])
        owner = clinics[here[0]][0] if here else 0
        found["users"][key] = (owner, {"id": id_, "clinic": here[0] if here else None, "born": False})
    return found


class TargetWork(Work):
    side = "target"

    TAKEN_ALONG: ClassVar[dict[str, tuple[str, str, str]]] = {"widgets": ("dashboards", "more", "id")}
    WEIGHTS: ClassVar[dict[str, int]] = {
        "insert_value": 10,
        "update_value": 12,
        "delete_value": 6,
        "delete_and_insert_value": 4,
        "empty_value": 4,
        "update_values": 3,
        "upsert_value": 4,
        "merge_values": 4,
        "copy_values": 2,
        "roll_back": 3,
        "roll_back_to_savepoint": 3,
        "write_hot": 10,
        "insert_provider": 4,
        "update_provider": 5,
        "delete_provider": 2,
        "insert_person": 4,
        "update_person": 4,
        "change_email": 2,
        "change_role": 2,
        "delete_person": 2,
        "insert_dashboard": 4,
        "update_dashboard": 3,
        "delete_dashboard": 2,
        "update_widget": 4,
        "delete_widget": 2,
        "insert_goal": 4,
        "update_goal": 4,
        "delete_goal": 2,
        "insert_clinic": 1,
        "update_clinic": 2,
        "update_sheet": 2,
        "update_mapping": 2,
        "update_definition": 1,
        "insert_definition": 1,
    }

    shared_definitions: list[uuid.UUID]

    def _attribute(self, table: str, key: str, name: str) -> Any:
        return self.pool[table][key][name]

    def _definition(self) -> uuid.UUID:
        return self.rng.choice(self.shared_definitions)

    # -- metric values -----------------------------------------------------------------------------------------------

    def _day(self) -> date:
        return date(1980, 1, 1) + timedelta(days=self.rng.randrange(9000))

    def _number(self) -> Decimal | None:
        return None if self.rng.random() < 0.1 else Decimal(self.rng.randrange(-(10**8), 10**8)).scaleb(-2)

    def _value(self, token: str, *, key: str | None = None, provider: str | None = None) -> tuple[Any, ...]:
        """A row that is born here, unless it takes the place of one that was deleted."""
        if provider is None and self.rng.random() < 0.7:
            provider = self.pick("providers")
        if provider is not None:
            clinic, provider_id = (self._attribute("providers", provider, name) for name in ("clinic", "id"))
        else:
            clinic, provider_id = self._attribute("clinics", self.pick("clinics"), "id"), None
        here = [row["id"] for row in self.pool["data_sources"].values() if row["clinic"] == clinic]
        sheet = self.rng.choice(here) if here and self.rng.random() < 0.3 else None
        id_ = uuid.UUID(int=self.rng.getrandbits(128), version=4)
        kind = self.rng.choice(("spreadsheet", "form"))
        return (
            clinic, id_, key or str(id_), self._definition(), provider_id, sheet, self._day(), self._number(), kind, None, token,
        )  # fmt: skip

    def _keep_value(self, row: tuple[Any, ...]) -> None:
        self.put("metric_values", row[2], row[10], id=row[1], clinic=row[0], more=row[4])

    def _insert_value(self, connection: Connection, row: tuple[Any, ...]) -> None:
        self.one(connection, f"insert into clinic.metric_values ({_VALUES}) values {_MARKS}", row)
        self._keep_value(row)

    def insert_value(self, connection: Connection) -> None:
        row = self._value(self.token())
        if self.rng.random() < 0.5:
            # As applications do: the database makes both ids.
            made = connection.execute(
                "insert into clinic.metric_values (clinic_id, metric_definition_id, provider_id, date, value, source_type,"
                " external_id) values (%s, %s, %s, %s, %s, %s, %s) returning id, legacy_id",
                [row[0], row[3], row[4], row[6], row[7], row[8], row[10]],
            ).fetchone()
            assert made is not None
            row = (row[0], made[0], made[1], *row[3:])
            self._keep_value(row)
        else:
            self._insert_value(connection, row)

    def update_value(self, connection: Connection) -> None:
        key, token = self.pick("metric_values"), self.token()
        self.one(
            connection,
            "update clinic.metric_values set value = %s, external_id = %s where clinic_id = %s and legacy_id = %s",
            [self._number(), token, self._attribute("metric_values", key, "clinic"), key],
        )
        self.put("metric_values", key, token)

    def delete_value(self, connection: Connection) -> None:
        key = self.pick("metric_values")
        self.one(connection, "delete from clinic.metric_values where legacy_id = %s", [key])
        self.gone("metric_values", key)

    def delete_and_insert_value(self, connection: Connection) -> None:
        """The same id and the same past, in the same clinic or in another."""
        key = self.pick("metric_values")
        id_ = self._attribute("metric_values", key, "id")
        self.one(connection, "delete from clinic.metric_values where legacy_id = %s", [key])
        row = self._value(self.token(), key=key)
        self._insert_value(connection, (row[0], id_, *row[2:]))

    def empty_value(self, connection: Connection) -> None:
        key, token = self.pick("metric_values"), self.token()
        column = self.rng.choice(("provider_id", "connection_id", "value"))
        self.one(
            connection,
            f"update clinic.metric_values set {column} = null, external_id = %s where legacy_id = %s",
            [token, key],
        )
        self.put("metric_values", key, token, **({"more": None} if column == "provider_id" else {}))

    def update_values(self, connection: Connection) -> None:
        keys = self.some("metric_values", 25)
        tokens = [self.token() for _ in keys]
        self.count(
            connection,
            "update clinic.metric_values m set external_id = v.token, value = %s"
            " from unnest(%s::text[], %s::text[]) v (key, token) where m.legacy_id = v.key",
            [self._number(), keys, tokens],
            len(keys),
        )
        for key, token in zip(keys, tokens, strict=True):
            self.put("metric_values", key, token)

    def upsert_value(self, connection: Connection) -> None:
        row = self._value(self.token())
        known = self.rng.random() < 0.6
        if known:
            key = self.pick("metric_values")
            attributes = self.pool["metric_values"][key]
            row = (attributes["clinic"], attributes["id"], key, row[3], None, None, *row[6:])
        self.one(
            connection,
            f"insert into clinic.metric_values ({_VALUES}) values {_MARKS} on conflict (clinic_id, id) do update"
            " set external_id = excluded.external_id, value = excluded.value",
            row,
        )
        if known:
            self.put("metric_values", row[2], row[10])
        else:
            self._keep_value(row)

    def merge_values(self, connection: Connection) -> None:
        known = self.some("metric_values", 6)
        dying = known.pop()
        tokens = {key: self.token() for key in known}
        fresh = self._value(self.token())
        self.count(
            connection,
            "merge into clinic.metric_values m using unnest(%s::text[], %s::text[]) v (key, token) on m.legacy_id = v.key"
            " when matched and v.token is null then delete"
            " when matched then update set external_id = v.token"
            f" when not matched then insert ({_VALUES}) values {_MARKS}",
            [[*known, dying, fresh[2]], [*tokens.values(), None, fresh[10]], *fresh],
            len(known) + 2,
        )
        for key, token in tokens.items():
            self.put("metric_values", key, token)
        self.gone("metric_values", dying)
        self._keep_value(fresh)

    def copy_values(self, connection: Connection) -> None:
        """COPY into a table with policies is refused but to those whom they let do everything; then it is plain inserts."""
        rows = [self._value(self.token()) for _ in range(self.rng.randint(5, 20))]
        with connection.cursor() as cursor:
            cursor.executemany(f"insert into clinic.metric_values ({_VALUES}) values {_MARKS}", rows)
        for row in rows:
            self._keep_value(row)

    def roll_back(self, connection: Connection) -> None:
        self.update_values(connection)
        self.insert_value(connection)
        raise TakenBack

    def roll_back_to_savepoint(self, connection: Connection) -> None:
        self.update_value(connection)
        before, after = Effects(dict(self.effects.tokens)), list(self.after)
        connection.execute("savepoint here")
        self.update_values(connection)
        self.delete_value(connection)
        self.insert_value(connection)
        connection.execute("rollback to savepoint here")
        self.effects, self.after = before, after
        self.insert_value(connection)

    def write_hot(self, connection: Connection) -> None:
        if not self.hot:
            raise Skip
        table, key = self.rng.choice(self.hot)
        column = {"metric_values": "external_id", "providers": "name"}[table]
        least, token = self.ledger.serial(table, key), self.token()
        row = connection.execute(
            f"update clinic.{table} set {column} = (coalesce(substring({column} from '^([0-9]+)~')::int, 0) + 1) || '~' || %s"
            f" where legacy_id = %s returning {column}",
            [token, key],
        ).fetchone()
        if row is None:
            self.ledger.problem(f"target {table} {key}: a row that the application never deletes is gone")
            raise Skip
        serial = int(row[0].partition("~")[0])
        if serial <= least:
            self.ledger.problem(
                f"target {table} {key}: version {least} was acknowledged, then the row went on from {serial - 1}"
            )
        self.effects.hot.append((table, key, serial, row[0]))

    # -- providers ---------------------------------------------------------------------------------------------------

    def insert_provider(self, connection: Connection) -> None:
        clinic, token = self._attribute("clinics", self.pick("clinics"), "id"), self.token()
        made = connection.execute(
            "insert into clinic.providers (clinic_id, name, provider_type) values (%s, %s, 'hygienist') returning id, legacy_id",
            [clinic, token],
        ).fetchone()
        assert made is not None
        id_, key = made
        self.put("providers", key, token, id=id_, clinic=clinic, born=True, more=None)
        for _ in range(self.rng.randint(0, 4)):
            row = self._value(self.token())
            self._insert_value(connection, (clinic, *row[1:4], id_, None, *row[6:]))

    def update_provider(self, connection: Connection) -> None:
        key, token = self.pick("providers"), self.token()
        self.one(
            connection,
            "update clinic.providers set name = %s, status = %s, provider_type = %s where legacy_id = %s",
            [token, self.rng.choice(("active", "inactive")), self.rng.choice(("dentist", "specialist")), key],
        )
        self.put("providers", key, token)

    def delete_provider(self, connection: Connection) -> None:
        """Values and goals stay, without a provider; several may then mean the same, which the server refuses."""
        key = self.pick("providers")
        id_ = self._attribute("providers", key, "id")
        self.one(connection, "delete from clinic.providers where legacy_id = %s", [key])
        self.gone("providers", key, again=False)
        self.follow("metric_values", "more", id_, None)
        self.follow("goals", "more", id_, None)

    # -- people ------------------------------------------------------------------------------------------------------

    def insert_person(self, connection: Connection) -> None:
        """A profile and its membership, which in the source are one row."""
        clinic, token = self._attribute("clinics", self.pick("clinics"), "id"), self.token()
        made = connection.execute(
            "insert into clinic.profiles (email, name) values (%s, %s) returning id, legacy_id",
            [f"n{self.rng.getrandbits(60):x}@example.com", token],
        ).fetchone()
        assert made is not None
        id_, key = made
        self.one(
            connection,
            "insert into clinic.user_clinic_roles (clinic_id, profile_id, role) values (%s, %s, %s)",
            [clinic, id_, self.rng.choice(_ROLES)],
        )
        self.put("users", key, token, id=id_, clinic=clinic, born=True)

    def update_person(self, connection: Connection) -> None:
        key, token = self.pick("users"), self.token()
        self.one(
            connection,
            "update clinic.profiles set name = %s, last_login_at = now() where legacy_id = %s",
            [token, key],
        )
        self.put("users", key, token)

    def change_email(self, connection: Connection) -> None:
        key, token = self.pick("users"), self.token()
        self.one(
            connection,
            "update clinic.profiles set name = %s, email = %s where legacy_id = %s",
            [token, f"m{self.rng.getrandbits(60):x}@example.com", key],
        )
        self.put("users", key, token)

    def change_role(self, connection: Connection) -> None:
        key = self.pick("users", lambda row: bool(row["born"]))
        self.one(
            connection,
            "update clinic.user_clinic_roles set role = %s where profile_id = %s",
            [self.rng.choice(_ROLES), self._attribute("users", key, "id")],
        )

    def delete_person(self, connection: Connection) -> None:
        """Those who were born here and own no dashboard."""
        owners_ = {row["more"] for row in self.pool["dashboards"].values()}
        key = self.pick("users", lambda row: row["born"] and row["id"] not in owners_)
        profile = self._attribute("users", key, "id")
        self.one(connection, "delete from clinic.user_clinic_roles where profile_id = %s", [profile])
        self.one(connection, "delete from clinic.profiles where legacy_id = %s", [key])
        self.gone("users", key, again=False)

    # -- dashboards and widgets --------------------------------------------------------------------------------------

    def insert_dashboard(self, connection: Connection) -> None:
        user = self.pick("users", lambda row: row["clinic"] is not None)
        clinic, profile, token = (
            self._attribute("users", user, "clinic"),
            self._attribute("users", user, "id"),
            self.token(),
        )
        made = connection.execute(
            "insert into clinic.dashboards (clinic_id, profile_id, name) values (%s, %s, %s) returning id, legacy_id",
            [clinic, profile, token],
        ).fetchone()
        assert made is not None
        id_, key = made
        self.put("dashboards", key, token, id=id_, clinic=clinic, more=profile, born=True)
        widgets = []
        for _ in range(self.rng.randint(1, 3)):
            each = self.token()
            row = connection.execute(
                "insert into clinic.widgets (clinic_id, dashboard_id, widget_type, chart_type, position_x, position_y, width,"
                " height, config) values (%s, %s, 'chart', %s, 0, 0, 4, 3, %s) returning id, legacy_id",
                [clinic, id_, each, Jsonb({"metricDefinitionIds": [str(self._definition())], "providerIds": []})],
            ).fetchone()
            assert row is not None
            widgets.append({"id": str(row[0]), "x": 1})
            self.put("widgets", row[1], each, id=row[0], clinic=clinic, more=id_, born=True)
        self.one(
            connection,
            "update clinic.dashboards set layout_config = %s where clinic_id = %s and id = %s",
            [Jsonb({"version": 2, "widgets": widgets}), clinic, id_],
        )

    def update_dashboard(self, connection: Connection) -> None:
        key, token = self.pick("dashboards"), self.token()
        self.one(
            connection,
            "update clinic.dashboards set name = %s, is_default = not is_default where legacy_id = %s",
            [token, key],
        )
        self.put("dashboards", key, token)

    def delete_dashboard(self, connection: Connection) -> None:
        """Its widgets go with it."""
        key = self.pick("dashboards")
        id_ = self._attribute("dashboards", key, "id")
        widgets = [each for each, row in self.pool["widgets"].items() if row["more"] == id_]
        self.one(connection, "delete from clinic.dashboards where legacy_id = %s", [key])
        for each in widgets:
            self.gone("widgets", each, again=False)
        self.gone("dashboards", key, again=False)

    def update_widget(self, connection: Connection) -> None:
        key, token = self.pick("widgets"), self.token()
        self.one(
            connection,
            "update clinic.widgets set chart_type = %s, position_y = %s, metric_definition_id = null where legacy_id = %s",
            [token, self.rng.randrange(9), key],
        )
        self.put("widgets", key, token)

    def delete_widget(self, connection: Connection) -> None:
        key = self.pick("widgets")
        self.one(connection, "delete from clinic.widgets where legacy_id = %s", [key])
        self.gone("widgets", key, again=False)

    # -- goals -------------------------------------------------------------------------------------------------------

    def insert_goal(self, connection: Connection) -> None:
        provider, token, day = self.pick("providers"), self.number_token(), self._day()
        clinic, id_ = (self._attribute("providers", provider, name) for name in ("clinic", "id"))
        made = connection.execute(
            "insert into clinic.goals (clinic_id, metric_definition_id, provider_id, time_period, start_date, end_date,"
            " target_value) values (%s, %s, %s, 'weekly', %s, %s, %s) returning id, legacy_id",
            [clinic, self._definition(), id_, day, day + timedelta(days=6), Decimal(token)],
        ).fetchone()
        assert made is not None
        self.put("goals", made[1], token, id=made[0], clinic=clinic, more=id_, born=True)

    def update_goal(self, connection: Connection) -> None:
        key, token, day = self.pick("goals"), self.number_token(), self._day()
        self.one(
            connection,
            "update clinic.goals set target_value = %s, start_date = %s, end_date = %s where legacy_id = %s",
            [Decimal(token), day, day + timedelta(days=3), key],
        )
        self.put("goals", key, token)

    def delete_goal(self, connection: Connection) -> None:
        key = self.pick("goals")
        self.one(connection, "delete from clinic.goals where legacy_id = %s", [key])
        self.gone("goals", key, again=False)

    # -- the rest ----------------------------------------------------------------------------------------------------

    def insert_clinic(self, connection: Connection) -> None:
        token = self.token()
        made = connection.execute(
            "insert into clinic.clinics (name, location, time_zone) values (%s, 'Boise, ID', 'America/Boise')"
            " returning id, legacy_id",
            [token],
        ).fetchone()
        assert made is not None
        self.put("clinics", made[1], token, id=made[0], clinic=made[0])

    def update_clinic(self, connection: Connection) -> None:
        key, token = self.pick("clinics"), self.token()
        self.one(
            connection,
            "update clinic.clinics set name = %s, status = %s where legacy_id = %s",
            [token, self.rng.choice(("active", "active", "inactive")), key],
        )
        self.put("clinics", key, token)

    def update_sheet(self, connection: Connection) -> None:
        key, token = self.pick("data_sources"), self.token()
        self.one(
            connection,
            "update clinic.spreadsheet_connections set app_script_id = %s, last_synced_at = now() where legacy_id = %s",
            [token, key],
        )
        self.put("data_sources", key, token)

    def update_mapping(self, connection: Connection) -> None:
        """Both columns that say it."""
        key, token = self.pick("column_mappings"), self.token()
        self.one(
            connection,
            "update clinic.column_mappings set column_name = %s, mapping_config = mapping_config || %s where legacy_id = %s",
            [token, Jsonb({"column": token}), key],
        )
        self.put("column_mappings", key, token)

    def update_definition(self, connection: Connection) -> None:
        key, token = self.pick("metric_definitions"), self.token()
        self.one(connection, "update clinic.metric_definitions set name = %s where legacy_id = %s", [token, key])
        self.put("metric_definitions", key, token)

    def insert_definition(self, connection: Connection) -> None:
        token = self.token()
        made = connection.execute(
            "insert into clinic.metric_definitions (name, description, data_type, category)"
            " values (%s, 'y', 'integer', 'patient') returning id, legacy_id",
            [token],
        ).fetchone()
        assert made is not None
        self.put("metric_definitions", made[1], token, id=made[0])
