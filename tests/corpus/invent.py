"""Values that look as applications make them, drawn from a seed: ids of many kinds, names, times, text. All of it is invented."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

GIVEN = "Asha Bruno Carla Dario Edda Farid Greta Hugo Ines Jarek Kaja Lennart Mira Nadim Oona Pavel Quirin Rosa Selma Tarek".split()
FAMILY = "Albrand Bexley Corvane Dunmoor Elsted Farrowick Gantry Holmby Ivensen Jarrold Kestrin Lomax Marrin Nordal Ostrey".split()
WORDS = (
    "amber basin cedar delta ember fjord grove harbor inlet juniper kiln lantern meadow needle orchard pebble quarry ridge "
    "saddle timber upland valley willow yonder zephyr anchor beacon copper drift elm"
).split()
_BASE36 = string.digits + string.ascii_lowercase
_NANO = string.ascii_letters + string.digits + "_-"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_START = datetime(2023, 1, 1, tzinfo=UTC)


class Invent:
    """What is drawn, in the order in which it is asked for."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self._serial = 0

    def _of(self, alphabet: str, length: int) -> str:
        return "".join(self.random.choices(alphabet, k=length))

    def cuid(self) -> str:
        self._serial += 1
        return "ckx" + self._of(_BASE36, 5) + f"{self._serial:04x}" + self._of(_BASE36, 13)

    def cuid2(self) -> str:
        return self.random.choice(string.ascii_lowercase) + self._of(_BASE36, 23)

    def nanoid(self, length: int = 21) -> str:
        return self._of(_NANO, length)

    def better(self) -> str:
        """32 letters and digits."""
        return self._of(string.ascii_letters + string.digits, 32)

    def ulid(self) -> str:
        return "01H" + self._of(_CROCKFORD, 23)

    def uuid(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def hex(self, length: int = 40) -> str:
        return self._of("0123456789abcdef", length)

    def digits(self, length: int = 21) -> str:
        return self.random.choice("123456789") + self._of(string.digits, length - 1)

    def prefixed(self, prefix: str, length: int = 14) -> str:
        """As payment services name their objects: cus_9s6XKzkNRiz8i3."""
        return prefix + self._of(string.ascii_letters + string.digits, length)

    def hash(self) -> str:
        return "$2b$10$" + self._of("./" + string.ascii_letters + string.digits, 53)

    def word(self) -> str:
        return self.random.choice(WORDS)

    def words(self, count: int = 3) -> str:
        return " ".join(self.random.choices(WORDS, k=count)).capitalize()

    def person(self) -> str:
        return f"{self.random.choice(GIVEN)} {self.random.choice(FAMILY)}"

    def email(self) -> str:
        self._serial += 1
        return f"{self.random.choice(GIVEN)}.{self.random.choice(FAMILY)}{self._serial}@example.org".lower()

    def slug(self) -> str:
        self._serial += 1
        return f"{self.word()}-{self.word()}-{self._serial}"

    def when(self) -> datetime:
        return _START + timedelta(seconds=self.random.randrange(86_400 * 900), milliseconds=self.random.randrange(1000))

    def day(self) -> str:
        return self.when().date().isoformat()

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def price(self) -> str:
        return f"{self.random.randint(1, 900)}.{self.random.randint(0, 99):02d}"

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def one(self, *choices: str) -> str:
        return self.random.choice(choices)
