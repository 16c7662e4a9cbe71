"""Invented names. The cities are real, because they determine time zones; clinics and people are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Final

LOCATIONS: Final[dict[str, str]] = {
    "Portland, ME": "America/New_York",
    "Duluth, MN": "America/Chicago",
    "Spokane, WA": "America/Los_Angeles",
    "Santa Fe, NM": "America/Denver",
    "Savannah, GA": "America/New_York",
    "Tucson, AZ": "America/Phoenix",
    "Tulsa, OK": "America/Chicago",
    "Anchorage, AK": "America/Anchorage",
    "Boise, ID": "America/Boise",
    "Honolulu, HI": "Pacific/Honolulu",
}
"""Every value of clinics.location, with the IANA time zone in which that clinic's days begin."""

_FIRST_OF_CLINIC: Final = (
    "Harbor", "Juniper", "Copper", "Willow", "Northgate", "Silver", "Maple", "Lantern", "Meadow", "Granite",
    "Cedar", "Bluebird", "Orchard", "Summit", "Prairie", "Lakeside", "Sandstone", "Evergreen", "Foxglove", "Riverbend",
)  # fmt: skip
_LAST_OF_CLINIC: Final = ("Dental", "Family Dental", "Smiles", "Dental Care", "Dentistry", "Dental Studio")

_FIRST: Final = (
    "Ada", "Bela", "Carla", "Dario", "Edda", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Lev", "Mara", "Nils",
    "Oona", "Pavel", "Quinn", "Rosa", "Sami", "Tilda", "Umar", "Vera", "Wanda", "Xenia", "Yara", "Zeno", "Alma",
    "Bruno", "Cleo", "Dana", "Emil", "Fenja",
)  # fmt: skip
_LAST: Final = (
    "Abelard", "Brannock", "Calloway", "Dunmore", "Ellery", "Fairbank", "Garrow", "Hollis", "Iverley", "Jessop",
    "Kestrel", "Lindgrove", "Marrow", "Northam", "Oakhurst", "Pellwood", "Quillan", "Ravenel", "Stanmoor", "Thornby",
    "Underhay", "Vantrell", "Wexcombe", "Yarrowby", "Zellick", "Ashgrove", "Birchwell", "Crowhurst", "Dellamere",
    "Everleigh", "Fenwright", "Greyling",
)  # fmt: skip


def clinic_names() -> Iterator[str]:
    """Yield names of clinics, all different, without end."""
    turn = 0
    while True:
        suffix = f" {turn + 1}" if turn else ""
        for last in _LAST_OF_CLINIC:
            for first in _FIRST_OF_CLINIC:
                yield f"{first} {last}{suffix}"
        turn += 1


def person(rng: Random) -> tuple[str, str]:
    """Return first and last name of a person who does not exist."""
    return rng.choice(_FIRST), rng.choice(_LAST)


def slug(name: str) -> str:
    """Return a clinic's name as the first label of its e-mail domain."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Addresses:
    """E-mail addresses at domains that are reserved for examples, all lower case and all different."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._given: set[str] = set()

    def make(self, first: str, last: str, clinic_slug: str) -> str:
        """Return one address for a person of a clinic."""
        domain = self._rng.choice((f"{clinic_slug}.example", f"{clinic_slug}.example", "example.com", "example.org"))
        local = f"{first}.{last}".lower()
        address = f"{local}@{domain}"
        number = 1
        while address in self._given:
            number += 1
            address = f"{local}{number}@{domain}"
        self._given.add(address)
        return address
