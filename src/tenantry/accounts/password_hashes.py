"""Recognizes, by their form, the password hashes that Supabase Auth can verify unchanged. Pure: never inspects a hash
further."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["bcrypt", "argon2", "firebase scrypt"]

BCRYPT = r"^\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$"
ARGON2 = r"^\$argon2(i|id)\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$"
FIREBASE = r"^\$fbscrypt\$v=1,n=[0-9]+,r=[0-9]+,p=[0-9]+(,ss=[A-Za-z0-9+/]*=*)?(,sk=[A-Za-z0-9+/]+=*)\$[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*$"
"""The forms that Supabase Auth's crypto package reads; the patterns are valid in Python and in PostgreSQL."""

LONGEST = 255
"""Maximum length of auth.users.encrypted_password in characters."""

_KINDS: tuple[tuple[Kind, str], ...] = (("bcrypt", BCRYPT), ("argon2", ARGON2), ("firebase scrypt", FIREBASE))


def kind_of(hashed: str | None) -> Kind | None:
    """Return the kind of a hash; None if it cannot be kept."""
    if hashed is None or len(hashed) > LONGEST:
        return None
    return next((kind for kind, form in _KINDS if re.fullmatch(form, hashed)), None)


def usable_sql(value: str) -> str:
    """Return a SQL condition: the hash can be kept. False, never null, if there is no hash."""
    forms = " or ".join(f"{value} ~ '{form}'" for _, form in _KINDS)
    return f"coalesce(length({value}) <= {LONGEST} and ({forms}), false)"


__all__ = ["ARGON2", "BCRYPT", "FIREBASE", "LONGEST", "Kind", "kind_of", "usable_sql"]
