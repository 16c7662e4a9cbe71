"""Who takes part in a proof: invented people with their memberships, and those who are nobody. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from uuid import uuid4

from tenantry.manifest.model import Manifest

OWN, OTHER = "own", "other"
"""The two invented tenants."""

INACTIVE_MEMBERSHIP = "inactive membership"
INACTIVE_TENANT = "inactive tenant"
INACTIVE_LENDER = "inactive tenant that shares"
REMOVED = "removed a moment ago"
SHARE = "share that"
"""With these words begin the states in which what a tenant shares does not count any more: `share that was not accepted`."""
STATES = (INACTIVE_MEMBERSHIP, INACTIVE_TENANT, INACTIVE_LENDER, REMOVED)
"""How a membership that somebody had does not count any more; the relations of his cells begin with it."""


@dataclass(frozen=True, slots=True)
class ProofPerson:
    """Somebody with an account. Ids are drawn anew for each proof."""

    label: str
    memberships: dict[str, str] = field(default_factory=dict)
    """Role by tenant."""
    former: frozenset[str] = frozenset()
    """Tenants in which the membership, or which themselves, are not active any more."""
    is_super: bool = False
    is_banned: bool = False
    is_deleted: bool = False
    """The account is: softly, so that its row stands."""
    acts: bool = True
    """False for those who are there only so that rows can be theirs."""
    uid: str = field(default_factory=lambda: str(uuid4()))

    @property
    def is_out(self) -> bool:
        """Whether the account gives nothing, whatever its person is otherwise."""
        return self.is_banned or self.is_deleted

    @property
    def email(self) -> str:
        return f"{self.uid}@tenantry-proof.invalid"


@dataclass(frozen=True, slots=True)
class Caller:
    """A database role and the claims it comes with; `person` is None for those who are nobody."""

    label: str
    database_role: str
    claims: str
    person: ProofPerson | None = None
    state: str = ""
    """One of STATES, and `person` is as the state leaves him; empty for those who are what their label says."""
    closed: frozenset[str] = frozenset()
    """The tenants that are not active, or do not share, while they try."""
    share: str | None = None
    """In a state that is about one share: its name; tables that are shared otherwise say nothing then."""


def people(manifest: Manifest) -> tuple[ProofPerson, ...]:
    """One member for each role, one whose roles differ by tenant, a super admin, and people who get nothing."""
    order = manifest.roles.order
    lowest, highest = order[0], order[-1]
    mixed = (
        [ProofPerson(f"{lowest} here, {highest} elsewhere", {OWN: lowest, OTHER: highest})] if len(order) > 1 else []
    )
    return (
        *(ProofPerson(role, {OWN: role}) for role in order),
        *mixed,
        ProofPerson("super admin", is_super=True),
        ProofPerson("signed in"),
        ProofPerson("banned", {OWN: highest}, is_banned=True),
        ProofPerson("deleted", {OWN: highest}, is_deleted=True),
        ProofPerson("banned super admin", is_super=True, is_banned=True),
        ProofPerson("deleted super admin", is_super=True, is_deleted=True),
        ProofPerson("member of the other tenant", {OTHER: highest}, acts=False),
    )


def callers(manifest: Manifest, persons: tuple[ProofPerson, ...]) -> tuple[Caller, ...]:
    """Those who run statements: the people who act, then those without a context, or with one that means nobody."""
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
    """A caller whose membership of a tenant does not count any more, if they have one; or, where it is a tenant that shares, what
    it shares does not."""
    person = caller.person
    if person is not None:
        left = {which: role for which, role in person.memberships.items() if which != tenant}
        former = person.former | (set(person.memberships) - set(left))
        person = replace(person, memberships=left, former=former)
    shares = state == INACTIVE_LENDER or state.startswith(SHARE)
    closed = frozenset({tenant}) if shares or state == INACTIVE_TENANT else frozenset()
    return replace(caller, person=person, state=state, closed=closed, share=share)


def _claims(uid: str, role: str) -> str:
    # user_metadata is what people may edit about themselves: it must give nothing.
    return json.dumps({"sub": uid, "role": role, "aud": role, "user_metadata": {"super_admin": "true"}})
