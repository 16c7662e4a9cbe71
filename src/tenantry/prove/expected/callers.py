"""The callers of a proof: synthetic people with their memberships, and anonymous callers. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from uuid import uuid4

from tenantry.manifest.model import Manifest

OWN, OTHER = "own", "other"
"""The two synthetic tenants."""
ABOVE = "above"
"""A third one, where tenants are nested: the two others are below it."""

INACTIVE_MEMBERSHIP = "inactive membership"
INACTIVE_TENANT = "inactive tenant"
INACTIVE_LENDER = "inactive tenant that shares"
REMOVED = "removed a moment ago"
SHARE = "share that"
"""Prefix of the states in which a tenant's share no longer counts, e.g. `share that was not accepted`."""
STATES = (INACTIVE_MEMBERSHIP, INACTIVE_TENANT, INACTIVE_LENDER, REMOVED)
"""Why a former membership no longer counts; the relations of the caller's cells begin with it."""


@dataclass(frozen=True, slots=True)
class ProofPerson:
    """A person with an account. Each proof draws new ids."""

    label: str
    memberships: dict[str, str] = field(default_factory=dict)
    """Role by tenant."""
    former: frozenset[str] = frozenset()
    """Tenants that are inactive, or in which the membership is inactive."""
    is_super: bool = False
    is_banned: bool = False
    is_deleted: bool = False
    """Whether the account is soft-deleted; its row still exists."""
    cut_off: frozenset[str] = frozenset()
    """Tenants that are inactive, so that memberships of the tenant above do not reach them."""
    acts: bool = True
    """False for people who only own rows."""
    uid: str = field(default_factory=lambda: str(uuid4()))

    @property
    def is_out(self) -> bool:
        """Whether the account gives no access, whatever memberships the person has."""
        return self.is_banned or self.is_deleted

    @property
    def email(self) -> str:
        return f"{self.uid}@tenantry-proof.invalid"


@dataclass(frozen=True, slots=True)
class Caller:
    """A database role and its claims; `person` is None for anonymous callers."""

    label: str
    database_role: str
    claims: str
    person: ProofPerson | None = None
    state: str = ""
    """One of STATES, with `person` as the state leaves them; empty for callers without a state."""
    closed: frozenset[str] = frozenset()
    """The tenants that are inactive, or do not share, during the attempts."""
    share: str | None = None
    """Name of the share that the state is about; tables under other shares prove nothing then."""


def people(manifest: Manifest) -> tuple[ProofPerson, ...]:
    """Return one member for each role, one with different roles by tenant, a super admin, and people without access."""
    order = manifest.roles.order
    lowest, highest = order[0], order[-1]
    mixed = (
        [ProofPerson(f"{lowest} here, {highest} elsewhere", {OWN: lowest, OTHER: highest})] if len(order) > 1 else []
    )
    ends = dict.fromkeys((lowest, highest)) if manifest.tenant.parent is not None else ()
    return (
        *(ProofPerson(role, {OWN: role}) for role in order),
        *mixed,
        *(ProofPerson(f"{role} of the tenant above", {ABOVE: role}) for role in ends),
        ProofPerson("super admin", is_super=True),
        ProofPerson("signed in"),
        ProofPerson("banned", {OWN: highest}, is_banned=True),
        ProofPerson("deleted", {OWN: highest}, is_deleted=True),
        ProofPerson("banned super admin", is_super=True, is_banned=True),
        ProofPerson("deleted super admin", is_super=True, is_deleted=True),
        ProofPerson("member of the other tenant", {OTHER: highest}, acts=False),
    )


def callers(manifest: Manifest, persons: tuple[ProofPerson, ...]) -> tuple[Caller, ...]:
    """Return who runs statements: people who act, then callers without a context or with an empty or unknown one."""
    roles = manifest.database_roles
    client = roles.authenticated
    return (
        *(Caller(person.label, client, _claims(person.uid, client), person) for person in persons if person.acts),
        Caller("no context", client, ""),
        Caller("anon", roles.anon, ""),
        Caller("unknown account", client, _claims(str(uuid4()), client)),
        Caller("malformed claims", client, '{"sub": "' + persons[0].uid),
        Caller("malformed id", client, _claims(persons[0].uid + "'", client)),
    )


def in_state(caller: Caller, state: str, tenant: str, share: str | None = None) -> Caller:
    """Return a caller whose membership of a tenant, or whose tenant's share, no longer counts."""
    person = caller.person
    if person is not None:
        left = {which: role for which, role in person.memberships.items() if which != tenant}
        former = person.former | (set(person.memberships) - set(left))
        cut_off = person.cut_off | ({tenant} if state == INACTIVE_TENANT else set())
        person = replace(person, memberships=left, former=former, cut_off=cut_off)
    shares = state == INACTIVE_LENDER or state.startswith(SHARE)
    closed = frozenset({tenant}) if shares or state == INACTIVE_TENANT else frozenset()
    return replace(caller, person=person, state=state, closed=closed, share=share)


def _claims(uid: str, role: str) -> str:
    # user_metadata is what people may edit about themselves: it must grant nothing.
    return json.dumps({"sub": uid, "role": role, "aud": role, "user_metadata": {"super_admin": "true"}})
