"""Generates clinics, users and providers, with the defects of users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import cycle, islice
from random import Random

from clinic.migration.legacy.defects import Ledger, planned
from clinic.migration.legacy.ids import Cuids, Numbers, canonical_uuid
from clinic.migration.legacy.names import LOCATIONS, Addresses, clinic_names, person, slug
from clinic.migration.legacy.shape import OPENED, Row, some_time, text_of


@dataclass(frozen=True, slots=True)
class Clinic:
    """One clinic; `zone` is the IANA time zone of its location."""

    id: str
    name: str
    location: str
    zone: str
    active: bool
    created: datetime

    def row(self) -> Row:
        """The row of clinics."""
        created = text_of(self.created)
        return self.id, self.name, self.location, "active" if self.active else "inactive", created, created


@dataclass(frozen=True, slots=True)
class Provider:
    """One dentist, hygienist or specialist of a clinic."""

    id: str
    name: str
    kind: str
    active: bool
    clinic: Clinic
    created: datetime

    def row(self) -> Row:
        """The row of providers."""
        created, status = text_of(self.created), "active" if self.active else "inactive"
        return self.id, self.name, self.kind, status, self.clinic.id, created, created


class Standing(Enum):
    """The defects of a user that affect their dashboards."""

    GOOD = "good"
    DUPLICATE = "duplicate"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class User:
    """One row of users."""

    id: str
    email: str
    name: str
    role: str
    last_login: datetime | None
    clinic: Clinic
    created: datetime
    standing: Standing = Standing.GOOD

    def row(self) -> Row:
        """The row of users."""
        created = text_of(self.created)
        login = text_of(self.last_login) if self.last_login else None
        return self.id, self.email, self.name, self.role, login, self.clinic.id, created, created


def make_clinics(count: int, rng: Random, ledger: Ledger) -> list[Clinic]:
    """Return so many clinics, cycling through all locations; the last few are inactive."""
    cuids = Cuids(rng)
    closed = planned("clinics.inactive", count)
    clinics = []
    places = cycle(LOCATIONS.items())
    for number, (name, (location, zone)) in enumerate(zip(islice(clinic_names(), count), places, strict=False)):
        created = OPENED + timedelta(minutes=number, milliseconds=rng.randrange(60_000))
        clinics.append(Clinic(cuids.at(created), name, location, zone, number < count - closed, created))
    for clinic in clinics[count - closed :]:
        ledger.add("clinics.inactive", clinic.id)
    return clinics


def make_providers(clinics: list[Clinic], rng: Random, ledger: Ledger) -> list[Provider]:
    """Return four to eight providers for each clinic, in the order of the clinics."""
    cuids, numbers = Cuids(rng), Numbers(rng)
    providers = []
    for clinic in clinics:
        for place in range(rng.randint(4, 8)):
            first, last = person(rng)
            kind = ("dentist", "hygienist", "dentist", "hygienist", "specialist", "hygienist", "dentist", "dentist")[
                place
            ]
            name = f"{first} {last}, RDH" if kind == "hygienist" else f"Dr. {first} {last}"
            created = some_time(rng, clinic.created, 20)
            providers.append(Provider(cuids.at(created), name, kind, place < 4 or rng.random() < 0.85, clinic, created))
    turns = _turns(len(providers), rng)
    for place in islice(turns, planned("providers.id_is_uuid", len(providers))):
        providers[place] = replace(providers[place], id=canonical_uuid(rng))
        ledger.add("providers.id_is_uuid", providers[place].id)
    for place in islice(turns, planned("providers.id_is_number", len(providers))):
        providers[place] = replace(providers[place], id=numbers.make())
        ledger.add("providers.id_is_number", providers[place].id)
    return providers


def make_users(clinics: list[Clinic], rng: Random, ledger: Ledger) -> list[User]:
    """Return four to ten valid users for each clinic, then the defective rows, and the admins of the group."""
    maker = _Users(clinics, rng)
    good = [user for clinic in clinics for user in maker.staff(clinic, rng.randint(6 if len(clinics) < 4 else 4, 10))]
    total = len(good)
    turns = _turns(total, rng)

    duplicates = []
    for number, place in enumerate(islice(turns, planned("users.email_case_or_blank_duplicate", total))):
        duplicates.append(maker.duplicate_of(good[place], number))
        ledger.add("users.email_case_or_blank_duplicate", duplicates[-1].id)
    for number, place in enumerate(islice(turns, planned("users.email_not_normalised", total))):
        good[place] = replace(good[place], email=_disguised(good[place].email, number))
        ledger.add("users.email_not_normalised", good[place].id)
    for place in islice(turns, planned("users.id_is_uuid", total)):
        good[place] = replace(good[place], id=canonical_uuid(rng))
        ledger.add("users.id_is_uuid", good[place].id)
    numbers = Numbers(rng)
    for place in islice(turns, planned("users.id_is_number", total)):
        good[place] = replace(good[place], id=numbers.make())
        ledger.add("users.id_is_number", good[place].id)

    invalid = [maker.without_address(number) for number in range(planned("users.email_invalid", total))]
    for user in invalid:
        ledger.add("users.email_invalid", user.id)
    admins = [maker.admin() for _ in range(planned("users.group_admin", total))]
    for user in admins:
        ledger.add("users.group_admin", user.id)
    return sorted(good + duplicates + invalid + admins, key=lambda user: (user.created, user.id))


def _turns(count: int, rng: Random) -> Iterator[int]:
    """Yield positions 0 … count-1 in random order: a caller that takes from it gets rows that no other defect has."""
    places = list(range(count))
    rng.shuffle(places)
    return iter(places)


def _disguised(email: str, number: int) -> str:
    """Return the same address as people type it: letters in upper case, surrounding blanks. Never the original text."""
    local, _, domain = email.partition("@")
    return (email.title(), f" {email}", email.upper(), f"{email}  ", f"{local}@{domain.title()}")[number % 5]


_NO_ADDRESS = ("n/a", "", "unknown", "@example.com", "none yet")
_BROKEN_ADDRESS = ("{0}.{1}(at)example.com", "{0}@@example.com", "{0}.{1}", "{0} {1}@example.org", "{0}.{1}@")


class _Users:
    """Creates users one by one, with unique ids and addresses."""

    def __init__(self, clinics: list[Clinic], rng: Random) -> None:
        self._clinics, self._rng = clinics, rng
        self._cuids, self._addresses = Cuids(rng), Addresses(rng)
        self._broken: set[str] = set()

    def staff(self, clinic: Clinic, count: int) -> Iterator[User]:
        """Return the valid users of a clinic: at least one office manager, never an admin."""
        for place in range(count):
            role = (
                "office_manager" if place == 0 else self._rng.choice(("dentist", "dentist", "front_desk", "front_desk"))
            )
            yield self._user(clinic, role)

    def duplicate_of(self, user: User, number: int) -> User:
        """Return a later row for the same person, every second time in another clinic."""
        clinic = user.clinic if number % 2 == 0 else self._other_clinic(user.clinic)
        created = some_time(self._rng, user.created, 300)
        email = _disguised(user.email, number)
        return replace(
            user, id=self._cuids.at(created), email=email, clinic=clinic, created=created, last_login=None,
            standing=Standing.DUPLICATE,
        )  # fmt: skip

    def without_address(self, number: int) -> User:
        """Return a user whose e-mail is not a valid address; no two of them share it."""
        user = self._user(self._rng.choice(self._clinics), self._rng.choice(("office_manager", "dentist")))
        first, last = user.name.lower().split()[-2:]
        pattern = _BROKEN_ADDRESS[number // 2 % len(_BROKEN_ADDRESS)]
        plain = _NO_ADDRESS[number // 2] if number % 2 and number // 2 < len(_NO_ADDRESS) else None
        email = plain if plain is not None else pattern.format(first, last)
        while email in self._broken:
            first += "x"
            email = pattern.format(first, last)
        self._broken.add(email)
        return replace(user, email=email, standing=Standing.INVALID)

    def admin(self) -> User:
        """Return a user who is admin of the whole group; the user's clinic is only a home."""
        return self._user(self._rng.choice(self._clinics), "admin")

    def _user(self, clinic: Clinic, role: str) -> User:
        first, last = person(self._rng)
        created = some_time(self._rng, clinic.created, 200)
        login = some_time(self._rng, created, 500) if self._rng.random() < 0.8 else None
        email = self._addresses.make(first, last, slug(clinic.name))
        name = f"Dr. {first} {last}" if role == "dentist" else f"{first} {last}"
        return User(self._cuids.at(created), email, name, role, login, clinic, created)

    def _other_clinic(self, clinic: Clinic) -> Clinic:
        place = self._clinics.index(clinic)
        return self._clinics[(place + self._rng.randrange(1, len(self._clinics))) % len(self._clinics)]
