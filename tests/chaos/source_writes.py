"""The old application: its transactions over the source schema, good data and bad, in every form that SQL has for a write."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

from psycopg.types.json import Jsonb

from clinic.migration.legacy import LOCATIONS
from tests.chaos.ledger import Connection, Effects
from tests.chaos.work import Attributes, Skip, TakenBack, Work

_GOOD = ("12", "-3.5", "1,234.50", " $ 1,322.35 ", "$88", "(459.08)", "-$12.00", "97%", ".5", "0", "", "   ", "N/A")
_BAD = ("n/a", "NaN", "12..5", "abc", "1,54,6.27", "#REF!", "--5", "1e5", "(", "0.00001", "99999999999999999")
_ROLES = ("office_manager", "dentist", "front_desk", "admin")
_VALUES = (
    "id, date, value, source_type, source_sheet, external_id, metric_definition_id, clinic_id, provider_id,"
    " data_source_id, created_at, updated_at"
)
_MARKS = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


def _now() -> datetime:
    moment = datetime.now(UTC).replace(tzinfo=None)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def owners(connection: Connection, connections: int) -> dict[str, dict[str, tuple[int, Attributes]]]:
    """All rows of the source by table and key, with the number of the connection that they fall to: a clinic's all to one."""

    def said(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    clinics = {row[0]: i % connections for i, row in enumerate(said("select id from clinics order by created_at, id"))}
    found: dict[str, dict[str, tuple[int, Attributes]]] = {
        "clinics": {key: (owner, {"private": False}) for key, owner in clinics.items()},
        # Definitions are everybody's: none of those that were there is written but by the first connection.
        "metric_definitions": {
            key: (0, {"private": False}) for (key,) in said("select id from metric_definitions order by id")
        },
    }
    for table in ("users", "providers", "data_sources"):
        found[table] = {
            key: (clinics[clinic], {"clinic": clinic, "private": False})
            for key, clinic in said(f"select id, clinic_id from {table} order by id")
        }
    found["column_mappings"] = {
        # All to one connection, since it now and then empties the table.
        key: (0, {"source": source})
        for key, source in said("select id, data_source_id from column_mappings order by id")
    }
    for table in ("metric_values", "goals"):
        source = "data_source_id" if table == "metric_values" else "null"
        found[table] = {}
        for key, clinic, provider, sheet in said(
            f"select id, clinic_id, provider_id, {source} from {table} order by id"
        ):
            owner = (
                found["providers"][provider][0]
                if provider is not None
                else clinics[clinic]
                if clinic is not None
                else found["data_sources"][sheet][0]
                if sheet is not None
                else 0
            )
            found[table][key] = (owner, {"clinic": clinic, "provider": provider})
    found["dashboards"] = {
        key: (found["users"][user][0], {"user": user})
        for key, user in said("select id, user_id from dashboards order by id")
    }
    found["widgets"] = {
        key: (found["dashboards"][dashboard][0], {"dashboard": dashboard})
        for key, dashboard in said("select id, dashboard_id from widgets order by id")
    }
    return found


class SourceWork(Work):
    side = "source"

    TAKEN_ALONG: ClassVar[dict[str, tuple[str, str, str]]] = {"widgets": ("dashboards", "dashboard", "")}
    WEIGHTS: ClassVar[dict[str, int]] = {
        "insert_value": 8,
        "update_value": 12,
        "repair_value": 6,
        "delete_value": 5,
        "delete_and_insert_value": 4,
        "rename_value": 4,
        "swap_values": 2,
        "empty_value": 3,
        "update_values": 3,
        "upsert_value": 4,
        "merge_values": 4,
        "copy_values": 2,
        "same_day_twice": 4,
        "flip_survivor": 2,
        "value_without_clinic": 3,
        "value_of_another_clinic": 2,
        "roll_back": 3,
        "roll_back_to_savepoint": 3,
        "write_hot": 10,
        "insert_provider": 3,
        "update_provider": 4,
        "spoil_provider": 1,
        "repair_provider": 3,
        "move_provider": 2,
        "move_provider_alone": 1,
        "rename_provider": 2,
        "delete_provider": 1,
        "insert_user": 4,
        "update_user": 3,
        "change_email": 4,
        "change_role": 3,
        "move_user": 2,
        "rename_user": 2,
        "delete_user": 2,
        "insert_dashboard": 4,
        "update_dashboard": 2,
        "give_dashboard": 1,
        "rename_dashboard": 1,
        "delete_dashboard": 1,
        "insert_widget": 2,
        "update_widget": 4,
        "rename_widget": 2,
        "delete_widget": 2,
        "insert_goal": 3,
        "update_goal": 3,
        "spoil_goal": 1,
        "delete_goal": 2,
        "insert_clinic": 1,
        "rename_clinic": 1,
        "update_clinic": 1,
        "move_town": 1,
        "delete_clinic": 1,
        "insert_sheet": 1,
        "update_sheet": 2,
        "spoil_sheet": 1,
        "repair_sheet": 1,
        "delete_sheet": 1,
        "write_mapping": 2,
        "empty_mappings": 1,
        "insert_definition": 1,
        "update_definition": 1,
        "rename_definition": 1,
    }

    # -- metric values -----------------------------------------------------------------------------------------------

    def _day(self) -> datetime:
        day = datetime.combine(date(2011, 1, 1) + timedelta(days=self.rng.randrange(4000)), datetime.min.time())
        # Plain midnight is a day; any other time is an instant, whose day hangs on the clinic's zone.
        return day if self.rng.random() < 0.5 else day + timedelta(minutes=self.rng.randrange(1, 1440))

    def _text(self) -> str:
        return self.rng.choice(_BAD) if self.rng.random() < 0.12 else self.rng.choice(_GOOD)

    def _definition(self) -> str:
        return self.rng.choice(self._definitions())

    def _definitions(self) -> list[str]:
        """Those that were there before, which nobody renames, and this connection's own."""
        return [*self.shared_definitions, *(k for k, row in self.pool["metric_definitions"].items() if row["private"])]

    shared_definitions: list[str]
    shared_clinics: list[str]

    def _value(self, key: str, token: str, provider: str | None = None, clinic: str | None = None) -> tuple[Any, ...]:
        if provider is None and clinic is None:
            if self.rng.random() < 0.75:
                provider = self.pick("providers")
                clinic = self.pool["providers"][provider]["clinic"]
            else:
                clinic = self.pick("clinics")
        sheet = None
        if self.rng.random() < 0.3:
            here = [k for k, row in self.pool["data_sources"].items() if row["clinic"] == clinic]
            sheet = self.rng.choice(here) if here else None
        now = _now()
        kind = self.rng.choice(("spreadsheet", "form"))
        return (
            key, self._day(), self._text(), kind, None, token, self._definition(), clinic, provider, sheet, now, now,
        )  # fmt: skip

    def _keep_value(self, row: tuple[Any, ...]) -> None:
        self.put("metric_values", row[0], row[5], clinic=row[7], provider=row[8])

    def _insert_value(self, connection: Connection, row: tuple[Any, ...]) -> None:
        self.one(connection, f"insert into metric_values ({_VALUES}) values {_MARKS}", row)
        self._keep_value(row)

    def insert_value(self, connection: Connection) -> None:
        self._insert_value(connection, self._value(self.new_key("metric_values"), self.token()))

    def update_value(self, connection: Connection) -> None:
        key, token = self.pick("metric_values"), self.token()
        self.one(
            connection,
            "update metric_values set value = %s, external_id = %s, updated_at = %s where id = %s",
            [self._text(), token, _now(), key],
        )
        self.put("metric_values", key, token)

    def repair_value(self, connection: Connection) -> None:
        """What is no number becomes one: the row comes out of the quarantine, or was never there."""
        found = connection.execute(
            "select id from metric_values where id = any (%s) and value !~ '[0-9]' order by id limit 5",
            [list(self.pool["metric_values"])],
        ).fetchall()
        if not found:
            raise Skip
        key, token = self.rng.choice(found)[0], self.token()
        self.one(
            connection,
            "update metric_values set value = %s, external_id = %s, updated_at = %s where id = %s",
            [str(self.rng.randrange(1000)), token, _now(), key],
        )
        self.put("metric_values", key, token)

    def delete_value(self, connection: Connection) -> None:
        key = self.pick("metric_values")
        self.one(connection, "delete from metric_values where id = %s", [key])
        self.gone("metric_values", key)

    def delete_and_insert_value(self, connection: Connection) -> None:
        key = self.pick("metric_values")
        self.one(connection, "delete from metric_values where id = %s", [key])
        self._insert_value(connection, self._value(key, self.token()))

    def rename_value(self, connection: Connection) -> None:
        key, token = self.pick("metric_values"), self.token()
        new = self.new_key("metric_values")
        self.one(connection, "update metric_values set id = %s, external_id = %s where id = %s", [new, token, key])
        self.renamed("metric_values", key, new, token)

    def swap_values(self, connection: Connection) -> None:
        """Two rows change their keys with each other."""
        if len(self.pool["metric_values"]) < 2:
            raise Skip
        one, other = self.rng.sample(list(self.pool["metric_values"]), 2)
        between, tokens = self.key(), (self.token(), self.token())
        for old, new, token in ((one, between, None), (other, one, tokens[1]), (between, other, tokens[0])):
            self.one(connection, "update metric_values set id = %s, external_id = %s where id = %s", [new, token, old])
        rows = self.pool["metric_values"]
        first, second = dict(rows[one]), dict(rows[other])
        self.put("metric_values", one, tokens[1], **second)
        self.put("metric_values", other, tokens[0], **first)

    def empty_value(self, connection: Connection) -> None:
        """Columns become null; without a provider the row may become another's duplicate."""
        key = self.pick("metric_values", lambda row: row["clinic"] is not None)
        column = self.rng.choice(("provider_id", "data_source_id", "source_sheet"))
        if self.rng.random() < 0.2:
            self.one(connection, "update metric_values set external_id = null where id = %s", [key])
            self.put("metric_values", key, None)
            return
        token = self.token()
        self.one(connection, f"update metric_values set {column} = null, external_id = %s where id = %s", [token, key])
        self.put("metric_values", key, token, **({"provider": None} if column == "provider_id" else {}))

    def update_values(self, connection: Connection) -> None:
        keys = self.some("metric_values", 25)
        tokens = [self.token() for _ in keys]
        self.count(
            connection,
            "update metric_values m set external_id = v.token, value = %s, updated_at = %s"
            " from unnest(%s::text[], %s::text[]) v (id, token) where m.id = v.id",
            [self._text(), _now(), keys, tokens],
            len(keys),
        )
        for key, token in zip(keys, tokens, strict=True):
            self.put("metric_values", key, token)

    def upsert_value(self, connection: Connection) -> None:
        key = self.pick("metric_values") if self.rng.random() < 0.6 else self.new_key("metric_values")
        before = self.pool["metric_values"].get(key)
        row = self._value(key, self.token())
        self.one(
            connection,
            f"insert into metric_values ({_VALUES}) values {_MARKS} on conflict (id) do update"
            " set external_id = excluded.external_id, value = excluded.value, updated_at = excluded.updated_at",
            row,
        )
        if before is None:
            self._keep_value(row)
        else:
            self.put("metric_values", key, row[5])

    def merge_values(self, connection: Connection) -> None:
        """MERGE that updates, deletes and inserts in one statement."""
        known = self.some("metric_values", 6)
        dying = known.pop()
        tokens = {key: self.token() for key in known}
        fresh = self._value(self.new_key("metric_values"), self.token())
        self.count(
            connection,
            "merge into metric_values m using unnest(%s::text[], %s::text[]) v (id, token) on m.id = v.id"
            " when matched and v.token is null then delete"
            " when matched then update set external_id = v.token"
            f" when not matched then insert ({_VALUES}) values {_MARKS}",
            [[*known, dying, fresh[0]], [*tokens.values(), None, fresh[5]], *fresh],
            len(known) + 2,
        )
        for key, token in tokens.items():
            self.put("metric_values", key, token)
        self.gone("metric_values", dying)
        self._keep_value(fresh)

    def copy_values(self, connection: Connection) -> None:
        rows = [self._value(self.key(), self.token()) for _ in range(self.rng.randint(5, 20))]
        with connection.cursor() as cursor, cursor.copy(f"copy metric_values ({_VALUES}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        for row in rows:
            self._keep_value(row)

    def same_day_twice(self, connection: Connection) -> None:
        """A second, later value of the same thing: the two become one row of the target."""
        key, token = self.pick("metric_values"), self.token()
        new = self.new_key("metric_values")
        names = _VALUES.replace("id, ", "", 1)
        self.one(
            connection,
            f"insert into metric_values ({_VALUES}) select %s,"
            f" {names.replace('external_id', '%s').replace('value', '%s').replace('updated_at', '%s')}"
            " from metric_values where id = %s",
            [new, str(self.rng.randrange(1000)), token, _now(), key],
        )
        row = self.pool["metric_values"][key]
        self.put("metric_values", new, token, **row)

    def flip_survivor(self, connection: Connection) -> None:
        """An old value counts as the newest, or no longer: of two for one day another one stands."""
        key, token = self.pick("metric_values"), self.token()
        at = _now() + timedelta(days=self.rng.choice((-4000, 1000)))
        self.one(
            connection, "update metric_values set updated_at = %s, external_id = %s where id = %s", [at, token, key]
        )
        self.put("metric_values", key, token)

    def value_without_clinic(self, connection: Connection) -> None:
        """The clinic follows from the provider; without one there is none, and the row belongs in quarantine."""
        provider = self.pick("providers")
        row = list(self._value(self.new_key("metric_values"), self.token(), provider))
        row[7] = None
        if self.rng.random() < 0.3:
            row[8] = row[9] = None
        self._insert_value(connection, tuple(row))

    def value_of_another_clinic(self, connection: Connection) -> None:
        """The row says one clinic and its provider another: nobody can say whose it is."""
        provider = self.pick("providers")
        clinic = self.rng.choice(self.shared_clinics)
        self._insert_value(connection, self._value(self.new_key("metric_values"), self.token(), provider, clinic))

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
        """A row that all connections write: the row itself counts its versions."""
        table, key = self.rng.choice(self.hot)
        column = {"metric_values": "external_id", "providers": "name"}[table]
        least, token = self.ledger.serial(table, key), self.token()
        row = connection.execute(
            f"update {table} set {column} = (coalesce(substring({column} from '^([0-9]+)~')::int, 0) + 1) || '~' || %s"
            f" where id = %s returning {column}",
            [token, key],
        ).fetchone()
        if row is None:
            self.ledger.problem(f"source {table} {key}: a row that the application never deletes is gone")
            raise Skip
        serial = int(row[0].partition("~")[0])
        if serial <= least:
            self.ledger.problem(
                f"source {table} {key}: version {least} was acknowledged, then the row went on from {serial - 1}"
            )
        self.effects.hot.append((table, key, serial, row[0]))

    # -- providers ---------------------------------------------------------------------------------------------------

    def insert_provider(self, connection: Connection) -> None:
        clinic, key, token, now = self.pick("clinics"), self.key(), self.token(), _now()
        kind = self.rng.choice(("dentist", "hygienist", "specialist"))
        self.one(
            connection,
            "insert into providers (id, name, provider_type, status, clinic_id, updated_at) values (%s, %s, %s, 'active', %s, %s)",
            [key, token, kind, clinic, now],
        )
        self.put("providers", key, token, clinic=clinic, private=True)
        for _ in range(self.rng.randint(0, 4)):
            self._insert_value(connection, self._value(self.key(), self.token(), key, clinic))

    def update_provider(self, connection: Connection) -> None:
        key, token = self.pick("providers"), self.token()
        status = self.rng.choice(("active", "inactive"))
        self.one(
            connection,
            "update providers set name = %s, status = %s, updated_at = %s where id = %s",
            [token, status, _now(), key],
        )
        self.put("providers", key, token)

    def spoil_provider(self, connection: Connection) -> None:
        """No such profession in the target: provider, values and goals go to the quarantine."""
        key, token = self.pick("providers"), self.token()
        self.one(connection, "update providers set provider_type = 'surgeon', name = %s where id = %s", [token, key])
        self.put("providers", key, token, spoilt=True)

    def repair_provider(self, connection: Connection) -> None:
        key, token = self.pick("providers", lambda row: bool(row.get("spoilt"))), self.token()
        self.one(connection, "update providers set provider_type = 'dentist', name = %s where id = %s", [token, key])
        self.put("providers", key, token, spoilt=False)

    def move_provider(self, connection: Connection) -> None:
        """To another clinic, with everything that names both."""
        key, token, clinic = self.pick("providers"), self.token(), self.rng.choice(self.shared_clinics)
        self.one(connection, "update providers set clinic_id = %s, name = %s where id = %s", [clinic, token, key])
        for table in ("metric_values", "goals"):
            connection.execute(
                f"update {table} set clinic_id = %s where provider_id = %s and clinic_id is not null", [clinic, key]
            )
            rows = [row for row in self.pool[table].values() if row["provider"] == key and row["clinic"] is not None]
            self.after.extend(lambda row=row: row.update(clinic=clinic) for row in rows)  # type: ignore[misc]
        self.put("providers", key, token, clinic=clinic)

    def move_provider_alone(self, connection: Connection) -> None:
        """Rows that name the clinic stay behind, in conflict; rows that name the provider only move along."""
        key, token, clinic = self.pick("providers"), self.token(), self.rng.choice(self.shared_clinics)
        self.one(connection, "update providers set clinic_id = %s, name = %s where id = %s", [clinic, token, key])
        self.put("providers", key, token, clinic=clinic)

    def rename_provider(self, connection: Connection) -> None:
        """Another id, which the rows that name it follow."""
        key, new, token = self.pick("providers"), self.key(), self.token()
        self.one(connection, "update providers set id = %s, name = %s where id = %s", [new, token, key])
        self.renamed("providers", key, new, token)
        self.follow("metric_values", "provider", key, new)
        self.follow("goals", "provider", key, new)

    def delete_provider(self, connection: Connection) -> None:
        """Values and goals stay, without a provider."""
        key = self.pick("providers")
        self.one(connection, "delete from providers where id = %s", [key])
        self.gone("providers", key, again=False)
        self.follow("metric_values", "provider", key, None)
        self.follow("goals", "provider", key, None)

    # -- users -------------------------------------------------------------------------------------------------------

    def _address(self, connection: Connection) -> str:
        """A good address, a broken one, or another spelling of somebody's."""
        kind = self.rng.random()
        fresh = f"u{self.rng.getrandbits(60):x}"
        if kind < 0.2:
            return self.rng.choice((f"{fresh}(at)example.com", f"{fresh}@@example.com", f"{fresh}", f"{fresh} x@e.org"))
        if kind < 0.4:
            row = connection.execute(
                "select email from users where email ~ '^[a-z0-9.@]+$' and id = any (%s) order by md5(id || %s) limit 1",
                [list(self.pool["users"]), fresh],
            ).fetchone()
            if row is not None:
                return self.rng.choice((f" {row[0]}", row[0].upper(), f"{row[0]}{' ' * self.rng.randint(1, 5)}"))
        return self.rng.choice((f"{fresh}@example.com", f"{fresh.upper()}@Example.ORG "))

    def insert_user(self, connection: Connection) -> None:
        clinic, key, token = self.pick("clinics"), self.key(), self.token()
        self.one(
            connection,
            "insert into users (id, email, name, role, clinic_id, updated_at) values (%s, %s, %s, %s, %s, %s)",
            [key, self._address(connection), token, self.rng.choice(_ROLES), clinic, _now()],
        )
        self.put("users", key, token, clinic=clinic, private=True)

    def update_user(self, connection: Connection) -> None:
        key, token = self.pick("users"), self.token()
        login = None if self.rng.random() < 0.3 else _now()
        self.one(
            connection,
            "update users set name = %s, last_login = %s, updated_at = %s where id = %s",
            [token, login, _now(), key],
        )
        self.put("users", key, token)

    def change_email(self, connection: Connection) -> None:
        """From good to bad and back, to another person's in another spelling, or away from it."""
        key, token = self.pick("users"), self.token()
        self.one(
            connection,
            "update users set email = %s, name = %s, updated_at = %s where id = %s",
            [self._address(connection), token, _now(), key],
        )
        self.put("users", key, token)

    def change_role(self, connection: Connection) -> None:
        key, token = self.pick("users"), self.token()
        role = "intern" if self.rng.random() < 0.15 else self.rng.choice(_ROLES)
        self.one(connection, "update users set role = %s, name = %s where id = %s", [role, token, key])
        self.put("users", key, token)

    def move_user(self, connection: Connection) -> None:
        """His membership and his dashboards move along."""
        key, token, clinic = self.pick("users"), self.token(), self.rng.choice(self.shared_clinics)
        self.one(connection, "update users set clinic_id = %s, name = %s where id = %s", [clinic, token, key])
        self.put("users", key, token, clinic=clinic)

    def rename_user(self, connection: Connection) -> None:
        key, new, token = self.pick("users"), self.key(), self.token()
        self.one(connection, "update users set id = %s, name = %s where id = %s", [new, token, key])
        self.renamed("users", key, new, token)
        self.follow("dashboards", "user", key, new)

    def delete_user(self, connection: Connection) -> None:
        owners_ = {row["user"] for row in self.pool["dashboards"].values()}
        free = [key for key in self.pool["users"] if key not in owners_]
        if not free:
            raise Skip
        key = self.rng.choice(free)
        self.one(connection, "delete from users where id = %s", [key])
        self.gone("users", key)

    # -- dashboards and widgets --------------------------------------------------------------------------------------

    def _widget(self, connection: Connection, dashboard: str) -> str:
        key, token = self.new_key("widgets"), self.token()
        config = {
            "metricDefinitionIds": [self._definition()],
            # One that exists, and now and then one that does not.
            "providerIds": [self.pick("providers"), *(["nobody"] if self.rng.random() < 0.2 else [])],
            "color": "#112233",
        }
        metric = self._definition() if self.rng.random() < 0.7 else None
        self.one(
            connection,
            "insert into widgets (id, widget_type, chart_type, position_x, position_y, width, height, config, dashboard_id,"
            " metric_definition_id, updated_at) values (%s, 'chart', %s, 0, 3, 4, 3, %s, %s, %s, %s)",
            [key, token, Jsonb(config), dashboard, metric, _now()],
        )
        self.put("widgets", key, token, dashboard=dashboard)
        return key

    def insert_dashboard(self, connection: Connection) -> None:
        """The layout names its widgets, which come after it, and one that never was."""
        user, key, token = self.pick("users"), self.new_key("dashboards"), self.token()
        self.one(
            connection,
            "insert into dashboards (id, name, user_id, updated_at) values (%s, %s, %s, %s)",
            [key, token, user, _now()],
        )
        self.put("dashboards", key, token, user=user)
        widgets = [self._widget(connection, key) for _ in range(self.rng.randint(1, 4))]
        layout = {"version": 1, "widgets": [{"id": each, "x": i} for i, each in enumerate([*widgets, "never was"])]}
        self.one(connection, "update dashboards set layout_config = %s where id = %s", [Jsonb(layout), key])

    def update_dashboard(self, connection: Connection) -> None:
        key, token = self.pick("dashboards"), self.token()
        empty = ", layout_config = null" if self.rng.random() < 0.2 else ""
        self.one(
            connection,
            f"update dashboards set name = %s, is_default = not is_default{empty}, updated_at = %s where id = %s",
            [token, _now(), key],
        )
        self.put("dashboards", key, token)

    def give_dashboard(self, connection: Connection) -> None:
        key, token, user = self.pick("dashboards"), self.token(), self.pick("users")
        self.one(connection, "update dashboards set user_id = %s, name = %s where id = %s", [user, token, key])
        self.put("dashboards", key, token, user=user)

    def rename_dashboard(self, connection: Connection) -> None:
        key, new, token = self.pick("dashboards"), self.new_key("dashboards"), self.token()
        self.one(connection, "update dashboards set id = %s, name = %s where id = %s", [new, token, key])
        self.renamed("dashboards", key, new, token)
        self.follow("widgets", "dashboard", key, new)

    def delete_dashboard(self, connection: Connection) -> None:
        key = self.pick("dashboards")
        widgets = [each for each, row in self.pool["widgets"].items() if row["dashboard"] == key]
        self.count(connection, "delete from widgets where dashboard_id = %s", [key], len(widgets))
        self.one(connection, "delete from dashboards where id = %s", [key])
        for each in widgets:
            self.gone("widgets", each)
        self.gone("dashboards", key)

    def insert_widget(self, connection: Connection) -> None:
        self._widget(connection, self.pick("dashboards"))

    def update_widget(self, connection: Connection) -> None:
        key, token = self.pick("widgets"), self.token()
        kind = self.rng.choice(("chart", "counter", "table"))
        self.one(
            connection,
            "update widgets set chart_type = %s, widget_type = %s, position_x = %s, metric_definition_id = null,"
            " config = jsonb_set(coalesce(config, '{}'), '{providerIds}', %s), updated_at = %s where id = %s",
            [token, kind, self.rng.randrange(12), Jsonb([self.pick("providers")]), _now(), key],
        )
        self.put("widgets", key, token)

    def rename_widget(self, connection: Connection) -> None:
        """Its dashboard's layout goes on naming the old id, which means nothing any more."""
        key, new, token = self.pick("widgets"), self.new_key("widgets"), self.token()
        self.one(connection, "update widgets set id = %s, chart_type = %s where id = %s", [new, token, key])
        self.renamed("widgets", key, new, token)

    def delete_widget(self, connection: Connection) -> None:
        key = self.pick("widgets")
        self.one(connection, "delete from widgets where id = %s", [key])
        self.gone("widgets", key)

    # -- goals -------------------------------------------------------------------------------------------------------

    def insert_goal(self, connection: Connection) -> None:
        provider = self.pick("providers")
        clinic = self.pool["providers"][provider]["clinic"] if self.rng.random() < 0.8 else None
        key, token, start = self.new_key("goals"), self.number_token(), self._day()
        self.one(
            connection,
            "insert into goals (id, time_period, start_date, end_date, target_value, metric_definition_id, clinic_id,"
            " provider_id, updated_at) values (%s, 'monthly', %s, %s, %s, %s, %s, %s, %s)",
            [key, start, start + timedelta(days=30), token, self._definition(), clinic, provider, _now()],
        )
        self.put("goals", key, token, clinic=clinic, provider=provider)

    def update_goal(self, connection: Connection) -> None:
        key, token, start = self.pick("goals"), self.number_token(), self._day()
        # Now and then it ends before it starts, which the target refuses.
        end = start + timedelta(days=-3 if self.rng.random() < 0.15 else 30)
        self.one(
            connection,
            "update goals set target_value = %s, start_date = %s, end_date = %s, updated_at = %s where id = %s",
            [token, start, end, _now(), key],
        )
        self.put("goals", key, token)

    def spoil_goal(self, connection: Connection) -> None:
        key, text = self.pick("goals"), self.rng.choice(("TBD", "", "N/A", "12..5"))
        self.one(connection, "update goals set target_value = %s, updated_at = %s where id = %s", [text, _now(), key])
        self.put("goals", key, text)

    def delete_goal(self, connection: Connection) -> None:
        key = self.pick("goals")
        self.one(connection, "delete from goals where id = %s", [key])
        self.gone("goals", key)

    # -- clinics -----------------------------------------------------------------------------------------------------

    def insert_clinic(self, connection: Connection) -> None:
        key, token = self.key(), self.token()
        self.one(
            connection,
            "insert into clinics (id, name, location, status, updated_at) values (%s, %s, %s, 'active', %s)",
            [key, token, self.rng.choice([*LOCATIONS, "Nowhere, ZZ"]), _now()],
        )
        self.put("clinics", key, token, private=True)

    def rename_clinic(self, connection: Connection) -> None:
        """Another id for a clinic of this connection's own; half the database may follow."""
        key, new, token = self.pick("clinics", lambda row: bool(row["private"])), self.key(), self.token()
        self.one(connection, "update clinics set id = %s, name = %s where id = %s", [new, token, key])
        self.renamed("clinics", key, new, token)
        for child in ("users", "providers", "data_sources", "metric_values", "goals"):
            self.follow(child, "clinic", key, new)

    def update_clinic(self, connection: Connection) -> None:
        key, token = self.pick("clinics"), self.token()
        status = self.rng.choice(("active", "active", "inactive"))
        self.one(
            connection,
            "update clinics set name = %s, status = %s, updated_at = %s where id = %s",
            [token, status, _now(), key],
        )
        self.put("clinics", key, token)

    def move_town(self, connection: Connection) -> None:
        """Another time zone: the day of every value that holds an instant is another one, perhaps."""
        key, token = self.pick("clinics"), self.token()
        self.one(
            connection,
            "update clinics set location = %s, name = %s where id = %s",
            [self.rng.choice([*LOCATIONS]), token, key],
        )
        self.put("clinics", key, token)

    def delete_clinic(self, connection: Connection) -> None:
        """One of this connection's own that nobody works in; values and goals that name it stay."""
        used = {row["clinic"] for child in ("users", "providers", "data_sources") for row in self.pool[child].values()}
        free = [key for key, row in self.pool["clinics"].items() if row["private"] and key not in used]
        if not free:
            raise Skip
        key = self.rng.choice(free)
        self.one(connection, "delete from clinics where id = %s", [key])
        self.gone("clinics", key, again=False)
        self.follow("metric_values", "clinic", key, None)
        self.follow("goals", "clinic", key, None)

    # -- sheets ------------------------------------------------------------------------------------------------------

    def insert_sheet(self, connection: Connection) -> None:
        clinic, key, token = self.pick("clinics"), self.key(), self.token()
        self.one(
            connection,
            "insert into data_sources (id, name, spreadsheet_id, sheet_name, sync_frequency, connection_status, app_script_id,"
            " access_token, refresh_token, clinic_id, updated_at)"
            " values (%s, 'a sheet', 'x', 'Daily', 'daily', 'connected', %s, %s, %s, %s, %s)",
            [key, token, f"ya29.{token}", self.rng.choice((None, f"1//{token}")), clinic, _now()],
        )
        self.put("data_sources", key, token, clinic=clinic, private=True)

    def update_sheet(self, connection: Connection) -> None:
        key, token = self.pick("data_sources"), self.token()
        self.one(
            connection,
            "update data_sources set app_script_id = %s, name = %s, access_token = %s, last_synced_at = %s, updated_at = %s"
            " where id = %s",
            [token, f"sheet {token}", f"ya29.{token}", _now(), _now(), key],
        )
        self.put("data_sources", key, token)

    def spoil_sheet(self, connection: Connection) -> None:
        """An unknown status: the connection goes to the quarantine, with the values that name it; its credential stays."""
        key, token = self.pick("data_sources"), self.token()
        self.one(
            connection,
            "update data_sources set connection_status = 'lost', app_script_id = %s where id = %s",
            [token, key],
        )
        self.put("data_sources", key, token, spoilt=True)

    def repair_sheet(self, connection: Connection) -> None:
        key, token = self.pick("data_sources", lambda row: bool(row.get("spoilt"))), self.token()
        self.one(
            connection,
            "update data_sources set connection_status = 'error', app_script_id = %s where id = %s",
            [token, key],
        )
        self.put("data_sources", key, token, spoilt=False)

    def delete_sheet(self, connection: Connection) -> None:
        """Only one that nothing is mapped to; values that came from it stay."""
        key = self.pick("data_sources", lambda row: bool(row["private"]))
        self.one(connection, "delete from data_sources where id = %s", [key])
        self.gone("data_sources", key)

    def write_mapping(self, connection: Connection) -> None:
        if self.number != 0:
            raise Skip
        token = self.token()
        kind = self.rng.random()
        if kind < 0.4 or not self.pool["column_mappings"]:
            key, source = self.new_key("column_mappings"), self.rng.choice(self.shared_sheets)
            self.one(
                connection,
                "insert into column_mappings (id, column_name, data_source_id, metric_definition_id, updated_at)"
                " values (%s, %s, %s, %s, %s)",
                [key, token, source, self._definition(), _now()],
            )
            self.put("column_mappings", key, token, source=source)
        elif kind < 0.8:
            key = self.pick("column_mappings")
            rule = self.rng.choice((None, "strip_currency"))
            self.one(
                connection,
                "update column_mappings set column_name = %s, transformation_rule = %s, updated_at = %s where id = %s",
                [token, rule, _now(), key],
            )
            self.put("column_mappings", key, token)
        else:
            key = self.pick("column_mappings")
            self.one(connection, "delete from column_mappings where id = %s", [key])
            self.gone("column_mappings", key)

    shared_sheets: list[str]

    def empty_mappings(self, connection: Connection) -> None:
        """TRUNCATE, and some of the rows again."""
        if self.number != 0 or not self.truncate or self.rng.random() < 0.5:
            raise Skip
        connection.execute("truncate column_mappings")
        keys = list(self.pool["column_mappings"])
        for key in keys:
            self.gone("column_mappings", key, again=False)
        for key in self.rng.sample(keys, len(keys) // 2):
            token, source = self.token(), self.rng.choice(self.shared_sheets)
            self.one(
                connection,
                "insert into column_mappings (id, column_name, data_source_id, metric_definition_id, updated_at)"
                " values (%s, %s, %s, %s, %s)",
                [key, token, source, self.rng.choice(self.shared_definitions), _now()],
            )
            self.put("column_mappings", key, token, source=source)

    # -- definitions -------------------------------------------------------------------------------------------------

    def insert_definition(self, connection: Connection) -> None:
        key, token = self.key(), self.token()
        self.one(
            connection,
            "insert into metric_definitions (id, name, description, data_type, category, updated_at)"
            " values (%s, %s, 'x', 'integer', 'patient', %s)",
            [key, token, _now()],
        )
        self.put("metric_definitions", key, token, private=True)

    def update_definition(self, connection: Connection) -> None:
        key, token = self.pick("metric_definitions"), self.token()
        self.one(
            connection, "update metric_definitions set name = %s, updated_at = %s where id = %s", [token, _now(), key]
        )
        self.put("metric_definitions", key, token)

    def rename_definition(self, connection: Connection) -> None:
        key, new, token = self.pick("metric_definitions", lambda row: bool(row["private"])), self.key(), self.token()
        self.one(connection, "update metric_definitions set id = %s, name = %s where id = %s", [new, token, key])
        self.renamed("metric_definitions", key, new, token)
