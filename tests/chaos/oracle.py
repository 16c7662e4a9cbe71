"""What the target of the Clinic must hold for a given source: worked out again in Python, by nothing of Tenantry's.

It knows the manifest's rules as the documentation states them, not its expressions: who is quarantined, who is merged into
whom, which clinic, day and number each row gets. Rows are known by their old ids on both sides.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from clinic.migration.legacy import LOCATIONS
from tests.chaos.ledger import Connection
from tests.chaos.numbers import BLANKS, number

Row = dict[str, Any]
Facts = tuple[Any, ...]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LOCAL = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"{_LOCAL}(?:\.{_LOCAL})*@{_LABEL}(?:\.{_LABEL})+")
_ROLES = {"office_manager": "clinic_admin", "dentist": "provider", "front_desk": "staff", "admin": "viewer"}
_RANK = ("viewer", "staff", "provider", "clinic_admin")
_SYNC = {"connected": "active", "active": "active", "disconnected": "paused", "paused": "paused", "error": "error"}
_STATUS = {"active", "inactive"}


@dataclass
class Expected:
    """What becomes of the rows of one mapping."""

    rows: dict[str, Facts] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    """Key → why."""
    merged: dict[str, str] = field(default_factory=dict)
    """Key → the key of the row that stands for it."""

    def stands_for(self, key: str) -> str:
        return self.merged.get(key, key)

    def there(self, key: str | None) -> bool:
        return key is not None and (key in self.rows or key in self.merged)


COLUMNS: dict[str, tuple[str, ...]] = {
    "clinics": ("name", "location", "status", "time_zone", "updated_at"),
    "metric_definitions": ("name", "description", "data_type", "category", "is_composite", "updated_at"),
    "profiles": ("email", "name", "last_login_at", "created_at", "updated_at"),
    "user_clinic_roles": ("clinic", "profile", "role", "updated_at"),
    "providers": ("clinic", "name", "provider_type", "status", "updated_at"),
    "google_credentials": ("clinic", "owner_label", "updated_at"),
    "spreadsheet_connections": ("clinic", "spreadsheet_name", "sync_status", "app_script_id", "updated_at"),
    "column_mappings": ("clinic", "connection", "definition", "column_name", "rule", "config column", "updated_at"),
    "metric_values": (
        "clinic", "definition", "provider", "connection", "date", "value", "source_type", "source_sheet", "external_id",
        "updated_at",
    ),
    "goals": ("clinic", "definition", "provider", "time_period", "start_date", "end_date", "target_value", "updated_at"),
    "dashboards": ("clinic", "profile", "name", "is_default", "layout_config", "updated_at"),
    "widgets": (
        "clinic", "dashboard", "definition", "widget_type", "chart_type", "x", "y", "width", "height", "config", "updated_at",
    ),
}  # fmt: skip
"""What is compared of each mapping's rows, in the order of their facts; other rows by their old ids."""


# -- texts ---------------------------------------------------------------------------------------------------------------


def address(text: str) -> str | None:
    plain = text.strip(BLANKS)
    lower = "".join(char.lower() if char.isascii() else char for char in plain)
    return lower if len(plain.encode()) <= 254 and _EMAIL.fullmatch(lower) else None


@cache
def _zones() -> dict[str, str]:
    known = {
        "Portland, ME": "America/New_York", "Duluth, MN": "America/Chicago", "Spokane, WA": "America/Los_Angeles",
        "Santa Fe, NM": "America/Denver", "Savannah, GA": "America/New_York", "Tucson, AZ": "America/Phoenix",
        "Tulsa, OK": "America/Chicago", "Anchorage, AK": "America/Anchorage", "Boise, ID": "America/Boise",
        "Honolulu, HI": "Pacific/Honolulu",
    }  # fmt: skip
    assert known.keys() <= LOCATIONS.keys()
    return known


def local_day(at: datetime, zone: str) -> date:
    if at == datetime.combine(at.date(), datetime.min.time()):
        return at.date()
    return at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


def new_id(table: str, old: str) -> str:
    """The id that a row gets, as docs/reference/ids.md has it."""
    if _UUID.fullmatch(old):
        return old
    made = bytearray(hashlib.sha256(f"clinic\x1f{table}\x1f{old}".encode()).digest()[:16])
    made[6] = made[8] = 0x80
    return str(uuid.UUID(bytes=bytes(made)))


def _listed(ids: Any, table: str, known: Container[str]) -> list[str]:
    """Of a list of ids in a document, those that name a row, as they are named in the target."""
    return [new_id(table, each) for each in ids if each in known]


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


# -- the source, taken over ------------------------------------------------------------------------------------------------


def _rows(connection: Connection, query: str) -> dict[str, Row]:
    cursor = connection.execute(query)
    names = [column.name for column in cursor.description or ()]
    return {row[0]: dict(zip(names, row, strict=True)) for row in cursor}


Given = Mapping[str, Mapping[str, str]]
"""Mapping → key → the key that stands for it: merged rows that are taken as they are."""


def _merge(
    made: Expected, meaning: Callable[[str], Facts], order: Callable[[str], Any], given: Mapping[str, str]
) -> None:
    """Of rows that mean the same the first in order stays."""
    keys = []
    for key in list(made.rows):
        if key in given:
            made.merged[key] = given[key]
            del made.rows[key]
        else:
            keys.append(key)
    groups: dict[Facts, list[str]] = {}
    for key in keys:
        groups.setdefault(meaning(key), []).append(key)
    for group in groups.values():
        # Ties are broken by the key, as PostgreSQL orders text under C.UTF-8: by its bytes.
        first, *others = sorted(sorted(group, key=str.encode), key=order)
        for other in others:
            made.merged[other] = first
            del made.rows[other]


def expected(connection: Connection, given: Given | None = None, schema: str = "public") -> dict[str, Expected]:
    """What the target must hold, by mapping, for the source as it is in the connection's snapshot.

    Args:
        given: rows that were merged once and are taken as that, since applications have written the target meanwhile: which
            rows mean the same there does not follow from the source any more.
    """
    given = given or {}
    source = {
        name: _rows(connection, f"select * from {schema}.{name}")
        for name in (
            "clinics", "users", "providers", "metric_definitions", "data_sources", "column_mappings", "metric_values",
            "goals", "dashboards", "widgets",
        )
    }  # fmt: skip
    made = {name: Expected() for name in COLUMNS}
    _simple(source, made)
    _people(source, made, given)
    _values(source, made, given)
    _goals(source, made)
    _boards(source, made)
    return made


def _simple(source: dict[str, dict[str, Row]], made: dict[str, Expected]) -> None:
    clinics = made["clinics"]
    for key, row in source["clinics"].items():
        if row["status"] not in _STATUS:
            clinics.quarantined[key] = "status"
            continue
        zone = _zones().get(row["location"].strip(BLANKS), "America/New_York")
        clinics.rows[key] = (row["name"], row["location"], row["status"], zone, _utc(row["updated_at"]))
    for key, row in source["metric_definitions"].items():
        made["metric_definitions"].rows[key] = (
            row["name"], row["description"], row["data_type"], row["category"], row["is_composite"], _utc(row["updated_at"]),
        )  # fmt: skip
    for key, row in source["providers"].items():
        if row["provider_type"] not in ("dentist", "hygienist", "specialist") or row["status"] not in _STATUS:
            made["providers"].quarantined[key] = "type or status"
        elif not clinics.there(row["clinic_id"]):
            made["providers"].quarantined[key] = "clinic"
        else:
            made["providers"].rows[key] = (
                row["clinic_id"], row["name"], row["provider_type"], row["status"], _utc(row["updated_at"]),
            )  # fmt: skip
    for key, row in source["data_sources"].items():
        updated = _utc(row["updated_at"])
        made["google_credentials"].rows[key] = (row["clinic_id"], row["name"], updated)
        status = _SYNC.get(row["connection_status"])
        if status is None:
            made["spreadsheet_connections"].quarantined[key] = "connection_status"
        else:
            made["spreadsheet_connections"].rows[key] = (
                row["clinic_id"], row["name"], status, row["app_script_id"], updated,
            )  # fmt: skip
    connections = made["spreadsheet_connections"]
    for key, row in source["column_mappings"].items():
        parent = row["data_source_id"]
        if not connections.there(parent):
            made["column_mappings"].quarantined[key] = "data source"
            continue
        made["column_mappings"].rows[key] = (
            source["data_sources"][parent]["clinic_id"], parent, row["metric_definition_id"], row["column_name"],
            row["transformation_rule"], row["column_name"], _utc(row["updated_at"]),
        )  # fmt: skip


def _people(source: dict[str, dict[str, Row]], made: dict[str, Expected], given: Given) -> None:
    users, profiles, members = source["users"], made["profiles"], made["user_clinic_roles"]
    for key, row in users.items():
        email = address(row["email"])
        if email is None:
            profiles.quarantined[key] = "email"
        else:
            profiles.rows[key] = (
                email, row["name"], _utc(row["last_login"]), _utc(row["created_at"]), _utc(row["updated_at"]),
            )  # fmt: skip
    _merge(
        profiles,
        lambda key: (profiles.rows[key][0],),
        lambda key: users[key]["created_at"],
        given.get("profiles", {}),
    )
    for key, row in users.items():
        role = _ROLES.get(row["role"].strip(BLANKS))
        if role is None:
            members.quarantined[key] = "role"
        elif not profiles.there(key):
            members.quarantined[key] = "profile"
        else:
            members.rows[key] = (row["clinic_id"], profiles.stands_for(key), role, _utc(row["updated_at"]))
    _merge(
        members,
        lambda key: members.rows[key][:2],
        lambda key: (-_RANK.index(members.rows[key][2]), users[key]["created_at"]),
        given.get("user_clinic_roles", {}),
    )


def _clinic_of(row: Row, source: dict[str, dict[str, Row]]) -> tuple[str | None, bool]:
    """The clinic of a value or a goal, and whether its paths contradict each other."""
    paths = [row["clinic_id"]]
    if row["provider_id"] is not None:
        paths.append(source["providers"][row["provider_id"]]["clinic_id"])
    if row.get("data_source_id") is not None:
        paths.append(source["data_sources"][row["data_source_id"]]["clinic_id"])
    named = [path for path in paths if path is not None]
    return (named[0] if named else None), len(set(named)) > 1


def _values(source: dict[str, dict[str, Row]], made: dict[str, Expected], given: Given) -> None:
    values, zones = made["metric_values"], {key: row[3] for key, row in made["clinics"].rows.items()}
    for key, row in source["metric_values"].items():
        clinic, conflict = _clinic_of(row, source)
        text = row["value"].strip(BLANKS)
        value = None if text in ("", "N/A") else number(text)
        why = (
            "provider" if row["provider_id"] is not None and not made["providers"].there(row["provider_id"])
            else "data source" if row["data_source_id"] is not None
            and not made["spreadsheet_connections"].there(row["data_source_id"])
            else "no clinic" if clinic is None
            else "clinics contradict" if conflict
            else "value" if value is None and text not in ("", "N/A")
            else "source_type" if row["source_type"] not in ("spreadsheet", "form")
            else None
        )  # fmt: skip
        if why is not None or clinic is None:
            values.quarantined[key] = why or "no clinic"
            continue
        values.rows[key] = (
            clinic, row["metric_definition_id"], row["provider_id"], row["data_source_id"],
            local_day(row["date"], zones[clinic]), value, row["source_type"], row["source_sheet"], row["external_id"],
            _utc(row["updated_at"]),
        )  # fmt: skip
    _merge(
        values,
        lambda key: tuple(values.rows[key][i] for i in (0, 1, 4, 2, 6)),
        lambda key: -source["metric_values"][key]["updated_at"].replace(tzinfo=UTC).timestamp(),
        given.get("metric_values", {}),
    )


def _goals(source: dict[str, dict[str, Row]], made: dict[str, Expected]) -> None:
    goals, zones = made["goals"], {key: row[3] for key, row in made["clinics"].rows.items()}
    for key, row in source["goals"].items():
        clinic, conflict = _clinic_of(row, source)
        value = number(row["target_value"])
        why = (
            "provider" if row["provider_id"] is not None and not made["providers"].there(row["provider_id"])
            else "no clinic" if clinic is None
            else "clinics contradict" if conflict
            else "target_value" if value is None
            else None
        )  # fmt: skip
        if why is None and clinic is not None:
            start, end = (local_day(row[name], zones[clinic]) for name in ("start_date", "end_date"))
            if end >= start:
                goals.rows[key] = (
                    clinic, row["metric_definition_id"], row["provider_id"], row["time_period"], start, end, value,
                    _utc(row["updated_at"]),
                )  # fmt: skip
                continue
            why = "ends before it starts"
        goals.quarantined[key] = why or "no clinic"


def _boards(source: dict[str, dict[str, Row]], made: dict[str, Expected]) -> None:
    members, dashboards = made["user_clinic_roles"], made["dashboards"]
    for key, row in source["dashboards"].items():
        user = row["user_id"]
        if not members.there(user):
            dashboards.quarantined[key] = "owner"
            continue
        dashboards.rows[key] = (
            source["users"][user]["clinic_id"], made["profiles"].stands_for(user), row["name"], row["is_default"],
            _layout(row["layout_config"], source["users"][user]["clinic_id"], source), _utc(row["updated_at"]),
        )  # fmt: skip
    for key, row in source["widgets"].items():
        parent = dashboards.rows.get(row["dashboard_id"])
        if parent is None:
            made["widgets"].quarantined[key] = "dashboard"
            continue
        made["widgets"].rows[key] = (
            parent[0], row["dashboard_id"], row["metric_definition_id"], row["widget_type"], row["chart_type"],
            row["position_x"], row["position_y"], row["width"], row["height"],
            _config(row["config"], parent[0], source), _utc(row["updated_at"]),
        )  # fmt: skip


def _layout(layout: Any, clinic: str, source: dict[str, dict[str, Row]]) -> Any:
    """The widgets that a dashboard of this clinic shows: those that exist, and belong to no other clinic."""
    if layout is None:
        return None

    def shown(widget: str) -> bool:
        if widget not in source["widgets"]:
            return False
        owner = source["dashboards"][source["widgets"][widget]["dashboard_id"]]["user_id"]
        return bool(source["users"][owner]["clinic_id"] == clinic)

    places = [
        {**place, "id": new_id("widgets", place["id"])} for place in layout.get("widgets", []) if shown(place["id"])
    ]
    return {**layout, "widgets": places}


def _config(config: Any, clinic: str, source: dict[str, dict[str, Row]]) -> Any:
    if config is None:
        return None
    named = {
        "metricDefinitionIds": ("metric_definitions", source["metric_definitions"]),
        "providerIds": (
            "providers",
            {key: row for key, row in source["providers"].items() if row["clinic_id"] == clinic},
        ),
    }
    return {name: _listed(value, *named[name]) if name in named else value for name, value in config.items()}


# -- the target ------------------------------------------------------------------------------------------------------------

_PARENTS = (
    "left join {t}.clinics c on c.id = x.clinic_id left join {t}.metric_definitions d on d.id = x.metric_definition_id"
)
_FOUND = {
    "clinics": "select legacy_id, name, location, status::text, time_zone, updated_at from {t}.clinics",
    "metric_definitions": "select legacy_id, name, description, data_type::text, category::text, is_composite, updated_at"
    " from {t}.metric_definitions",
    "profiles": "select legacy_id, email, name, last_login_at, created_at, updated_at from {t}.profiles",
    "user_clinic_roles": "select x.legacy_id, c.legacy_id, p.legacy_id, x.role::text, x.updated_at"
    " from {t}.user_clinic_roles x left join {t}.clinics c on c.id = x.clinic_id left join {t}.profiles p on p.id = x.profile_id",
    "providers": "select x.legacy_id, c.legacy_id, x.name, x.provider_type::text, x.status::text, x.updated_at"
    " from {t}.providers x left join {t}.clinics c on c.id = x.clinic_id",
    "google_credentials": "select x.legacy_id, c.legacy_id, x.owner_label, x.updated_at"
    " from {t}.google_credentials x left join {t}.clinics c on c.id = x.clinic_id",
    "spreadsheet_connections": "select x.legacy_id, c.legacy_id, x.spreadsheet_name, x.sync_status::text, x.app_script_id,"
    " x.updated_at from {t}.spreadsheet_connections x left join {t}.clinics c on c.id = x.clinic_id",
    "column_mappings": "select x.legacy_id, c.legacy_id, s.legacy_id, d.legacy_id, x.column_name, x.transformation_rule,"
    f" x.mapping_config ->> 'column', x.updated_at from {{t}}.column_mappings x {_PARENTS}"
    " left join {t}.spreadsheet_connections s on (s.clinic_id, s.id) = (x.clinic_id, x.connection_id)",
    "metric_values": "select x.legacy_id, c.legacy_id, d.legacy_id, p.legacy_id, s.legacy_id, x.date, x.value,"
    f" x.source_type::text, x.source_sheet, x.external_id, x.updated_at from {{t}}.metric_values x {_PARENTS}"
    " left join {t}.providers p on (p.clinic_id, p.id) = (x.clinic_id, x.provider_id)"
    " left join {t}.spreadsheet_connections s on (s.clinic_id, s.id) = (x.clinic_id, x.connection_id)",
    "goals": "select x.legacy_id, c.legacy_id, d.legacy_id, p.legacy_id, x.time_period::text, x.start_date, x.end_date,"
    f" x.target_value, x.updated_at from {{t}}.goals x {_PARENTS}"
    " left join {t}.providers p on (p.clinic_id, p.id) = (x.clinic_id, x.provider_id)",
    "dashboards": "select x.legacy_id, c.legacy_id, p.legacy_id, x.name, x.is_default, x.layout_config, x.updated_at"
    " from {t}.dashboards x left join {t}.clinics c on c.id = x.clinic_id left join {t}.profiles p on p.id = x.profile_id",
    "widgets": "select x.legacy_id, c.legacy_id, b.legacy_id, d.legacy_id, x.widget_type::text, x.chart_type, x.position_x,"
    f" x.position_y, x.width, x.height, x.config, x.updated_at from {{t}}.widgets x {_PARENTS}"
    " left join {t}.dashboards b on (b.clinic_id, b.id) = (x.clinic_id, x.dashboard_id)",
}


def found(connection: Connection, schema: str = "clinic") -> tuple[dict[str, dict[str, Facts]], list[str]]:
    """What the target holds, by mapping and old id, and the old ids that stand there twice."""
    held: dict[str, dict[str, Facts]] = {}
    twice = []
    for name, query in _FOUND.items():
        held[name] = {}
        for row in connection.execute(query.format(t=schema)):
            if row[0] in held[name]:
                twice.append(f"target {name}: the old id {row[0]!r} stands there twice")
            held[name][row[0]] = tuple(row[1:])
    return held, twice
