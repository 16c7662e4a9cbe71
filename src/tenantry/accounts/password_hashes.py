"""Which hashes of passwords Supabase Auth verifies as they are, told by their form. Pure: no hash is ever looked into."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["bcrypt", "argon2", "firebase scrypt"]

BCRYPT = r"^\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$"
ARGON2 = r"^\$argon2(i|id)\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$"
FIREBASE = r"^\$fbscrypt\$v=1,n=[0-9]+,r=[0-9]+,p=[0-9]+(,ss=[A-Za-z0-9+/]*=*)?(,sk=[A-Za-z0-9+/]+=*)\$[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*$"
"""The forms that Supabase Auth's crypto package reads; valid in Python and in PostgreSQL."""

LONGEST = 255
"""Characters of auth.users.encrypted_password."""

_KINDS: tuple[tuple[Kind, str], ...] = (("bcrypt", BCRYPT), ("argon2", ARGON2), ("firebase scrypt", FIREBASE))


def kind_of(hashed: str | None) -> Kind | None:
    """What a hash is; None where it is of no kind that could be kept."""
    if hashed is None or len(hashed) > LONGEST:
        return None
    return next((kind for kind, form in _KINDS if re.fullmatch(form, hashed)), None)


def usable_sql(value: str) -> str:
    """A SQL condition: the hash could be kept. False, never null, where there is none."""
    forms = " or ".join(f"{value} ~ '{form}'" for _, form in _KINDS)
    return f"coalesce(length({value}) <= {LONGEST} and ({forms}), false)"


__all__ = ["ARGON2", "BCRYPT", "FIREBASE", "LONGEST", "Kind", "kind_of", "usable_sql"]
