"""The defects and oddities of the sample: their codes, their rates, and the ledger of planted rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

KEYS_KEPT: Final = 1000
"""Maximum number of keys listed for a defect: the first in code point order (COLLATE "C")."""

RATES: Final[Mapping[str, float]] = {
    "clinics.inactive": 0.08,
    "users.email_case_or_blank_duplicate": 0.06,
    "users.email_not_normalised": 0.06,
    "users.email_invalid": 0.06,
    "users.group_admin": 0.02,
    "users.id_is_uuid": 0.04,
    "users.id_is_number": 0.04,
    "providers.id_is_uuid": 0.05,
    "providers.id_is_number": 0.05,
    "metric_values.clinic_from_provider": 0.01,
    "metric_values.clinic_from_data_source": 0.005,
    "metric_values.clinic_unknown": 0.001,
    "metric_values.clinic_provider_conflict": 0.001,
    "metric_values.value_not_available": 0.004,
    "metric_values.value_empty": 0.003,
    "metric_values.value_invalid": 0.001,
    "metric_values.same_day_twice": 0.002,
    "metric_values.id_is_uuid": 0.0004,
    "metric_values.id_is_number": 0.0002,
    "metric_values.id_uuid_not_canonical": 0.0002,
    "goals.ends_before_start": 0.02,
    "goals.target_value_invalid": 0.02,
    "goals.clinic_from_provider": 0.05,
    "goals.clinic_unknown": 0.01,
    "goals.id_is_uuid": 0.01,
    "goals.id_is_number": 0.01,
    "dashboards.layout_unknown_widget": 0.05,
    "widgets.config_unknown_metric": 0.02,
    "widgets.config_unknown_provider": 0.02,
}
"""Planted rows as a share of all rows of their table (for users: of its valid rows).

Codes without a rate are consequences or properties of valid rows, and are counted as they occur.
"""

_LEAST: Final[Mapping[str, int]] = {"clinics.inactive": 1, "users.group_admin": 2}

NOTES: Final[Mapping[str, str]] = {
    "clinics.inactive": "Good rows: a closed clinic with users, values and goals.",
    "users.email_case_or_blank_duplicate": "lower(btrim(email)) equals that of a user created earlier, whose e-mail is "
    "valid and normalised. Same clinic or another; some own dashboards, none of them a default one.",
    "users.email_not_normalised": "One person with upper-case letters or blanks around; valid once normalised.",
    "users.email_invalid": "No e-mail address at all, before or after normalising.",
    "users.group_admin": "Good rows: role admin, for the whole group; clinic_id is only a home.",
    "users.id_is_uuid": "Good rows: id is a canonical UUID.",
    "users.id_is_number": "Good rows: id is a number.",
    "providers.id_is_uuid": "Good rows: id is a canonical UUID. Referenced.",
    "providers.id_is_number": "Good rows: id is a number. Referenced.",
    "metric_values.clinic_from_provider": "clinic_id is null; the provider has one.",
    "metric_values.clinic_from_data_source": "clinic_id and provider_id are null; the data source has a clinic.",
    "metric_values.clinic_unknown": "clinic_id, provider_id and data_source_id are null. Dates are plain midnights.",
    "metric_values.clinic_provider_conflict": "clinic_id is not the provider's clinic. Dates are plain midnights.",
    "metric_values.value_not_available": "value is N/A.",
    "metric_values.value_empty": "value is empty or blank.",
    "metric_values.value_invalid": "value is text that is no number in any of the known forms.",
    "metric_values.value_formatted": "Good rows, also among rows with a defect elsewhere: a currency value with "
    "thousands, currency sign, blanks or parentheses.",
    "metric_values.value_percent": "Good rows, also among rows with a defect elsewhere: a value with a percent sign.",
    "metric_values.same_day_twice": "The older (earlier updated_at) of two rows with one clinic, metric, provider, "
    "local day and source type; the numbers differ.",
    "metric_values.local_day": "Good rows, also among rows with a defect elsewhere: date is the UTC instant at which "
    "the local day begins in the time zone of the clinic; the other dates are the day at plain midnight.",
    "metric_values.id_is_uuid": "Good rows: id is a canonical UUID.",
    "metric_values.id_is_number": "Good rows: id is a number.",
    "metric_values.id_uuid_not_canonical": "Good rows: id is a UUID in upper case, some in braces. Some are "
    "the UUID of another row of the table, spelled otherwise.",
    "goals.ends_before_start": "end_date is before start_date.",
    "goals.target_value_invalid": "target_value is no number.",
    "goals.clinic_from_provider": "clinic_id is null; the provider has one.",
    "goals.clinic_unknown": "clinic_id and provider_id are null.",
    "goals.of_inactive_clinic": "Good rows: the clinic is inactive.",
    "goals.id_is_uuid": "Good rows: id is a canonical UUID.",
    "goals.id_is_number": "Good rows: id is a number.",
    "dashboards.of_invalid_user": "Consequence of users.email_invalid: dashboards of these users.",
    "dashboards.layout_unknown_widget": "layout_config names a widget that no longer exists.",
    "widgets.of_invalid_user": "Consequence of users.email_invalid: widgets on dashboards of these users.",
    "widgets.config_unknown_metric": "config names a metric definition that no longer exists.",
    "widgets.config_unknown_provider": "config names a provider who no longer exists.",
}
"""Every code, with the rule that finds its rows."""


def planned(code: str, rows: int) -> int:
    """Return how many rows of a table of `rows` should have a defect: its rate, but at least a few."""
    return max(_LEAST.get(code, 3), round(RATES[code] * rows))


@dataclass(frozen=True, slots=True)
class Defect:
    """One code and its rows. `keys` holds all ids, or the first `KEYS_KEPT`, sorted by code point."""

    code: str
    table: str
    count: int
    keys: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Planted:
    """The contents of a sample: the rows of each table, and each defect."""

    rows: dict[str, int]
    defects: tuple[Defect, ...]

    def defect(self, code: str) -> Defect:
        """Return the defect with this code; KeyError for an unknown code."""
        for defect in self.defects:
            if defect.code == code:
                return defect
        raise KeyError(code)

    def to_json(self) -> str:
        """Return JSON text that `from_json` reads back to an equal value."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Planted:
        """Read a value from the text of `to_json`."""
        data = json.loads(text)
        defects = tuple(Defect(**{**defect, "keys": tuple(defect["keys"])}) for defect in data["defects"])
        return cls(rows=data["rows"], defects=defects)


class Tally:
    """Counts rows and keeps their first keys in code point order, in constant memory."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[str] = []
        self._limit = chr(0x10FFFF)

    def add(self, key: str) -> None:
        """Add one row."""
        self.count += 1
        if key < self._limit:
            self._kept.append(key)
            if len(self._kept) >= 4 * KEYS_KEPT:
                self._trim()
                self._limit = self._kept[-1]

    def keys(self) -> tuple[str, ...]:
        """Return all keys, or the first `KEYS_KEPT`, sorted."""
        self._trim()
        return tuple(self._kept)

    def _trim(self) -> None:
        self._kept.sort()
        del self._kept[KEYS_KEPT:]


class Ledger:
    """The tallies of every code, filled while rows are generated."""

    def __init__(self) -> None:
        self._tallies = {code: Tally() for code in NOTES}

    def tally(self, code: str) -> Tally:
        """Return the tally of one code; KeyError for an unknown code."""
        return self._tallies[code]

    def add(self, code: str, key: str) -> None:
        """Add one row with this defect."""
        self._tallies[code].add(key)

    def defects(self) -> tuple[Defect, ...]:
        """Return all codes in their stated order, including those without rows."""
        return tuple(
            Defect(code, code.partition(".")[0], tally.count, tally.keys(), NOTES[code])
            for code, tally in self._tallies.items()
        )
