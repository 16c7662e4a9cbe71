"""Members whose membership does not count any more: what they are then, what the matrix says of them, and how cells are printed."""

from __future__ import annotations

from dataclasses import replace

from tenantry.manifest import COMMANDS, Manifest
from tenantry.prove.expected.callers import (
    INACTIVE_LENDER,
    INACTIVE_MEMBERSHIP,
    INACTIVE_TENANT,
    OTHER,
    OWN,
    REMOVED,
    STATES,
    Caller,
    ProofPerson,
    in_state,
)
from tenantry.prove.expected.oracle import RowFacts, may
from tenantry.prove.model import Cell, Proof

MANIFEST = Manifest.model_validate(
    {
        "name": "orchard",
        "source": {"schema": "old"},
        "target": {"schema": "orchard", "files": []},
        "ids": {"namespace": "orchard"},
        "tenant": {"table": "orchards", "column": "orchard_id", "active": "open"},
        "membership": {"table": "pickers", "profile": "person_id", "role": "rank", "active": "active"},
        "roles": {"order": ["guest", "grower"]},
        "users": {"from": "users", "email": "email", "profile": "people", "account": "account"},
        "shares": {"harvests": {"table": "leases", "to": "tenant_id", "accepted": "true"}},
        "tables": {
            "trees": {"access": {"kind": "tenant", "select": "guest", "system": "signed_in", "shared": "harvests"}},
            "people": {
                "access": {
                    "select": {"colleagues": "guest", "own": "id"},
                    "insert": "service",
                    "update": {"own": "id"},
                    "delete": "service",
                }
            },
        },
    }
)

GUEST = ProofPerson("guest", {OWN: "guest"})
GROWER = ProofPerson("grower", {OWN: "grower"})
MIXED = ProofPerson("mixed", {OWN: "guest", OTHER: "grower"})
BOSS = ProofPerson("super admin", is_super=True)


def _lost(person: ProofPerson, state: str = REMOVED, tenant: str = OWN) -> ProofPerson:
    found = in_state(Caller(person.label, "authenticated", "{}", person), state, tenant).person
    assert found is not None
    return found


def test_a_membership_that_ended_leaves_the_others() -> None:
    lost = _lost(MIXED)
    assert (lost.memberships, lost.former, lost.uid) == ({OTHER: "grower"}, frozenset({OWN}), MIXED.uid)
    assert not may(MANIFEST, "select", lost, RowFacts("trees", OWN))
    assert may(MANIFEST, "select", lost, RowFacts("trees", OTHER))
    assert may(MANIFEST, "select", MIXED, RowFacts("trees", OWN))


def test_a_former_member_is_still_the_same_person_and_no_colleague() -> None:
    lost = _lost(GROWER)
    assert may(MANIFEST, "select", GROWER, RowFacts("people", None, GUEST))
    assert not may(MANIFEST, "select", lost, RowFacts("people", None, GUEST))
    # His profile hangs on the account, whose row still names him as he was.
    assert may(MANIFEST, "select", lost, RowFacts("people", None, GROWER))
    assert may(MANIFEST, "update", lost, RowFacts("people", None, GROWER))
    # And to the others he is one who was a member.
    assert may(MANIFEST, "select", GUEST, RowFacts("people", None, lost))


def test_rows_for_all_stay_and_shared_rows_go() -> None:
    shared = RowFacts("trees", "lender", shared_with=frozenset({OWN}))
    system = RowFacts("trees")
    for person, sees in ((GUEST, True), (_lost(GUEST), False)):
        assert may(MANIFEST, "select", person, shared) is sees
        assert may(MANIFEST, "select", person, system)
        assert not may(MANIFEST, "delete", person, system)


def test_super_admins_keep_tenants_that_are_closed() -> None:
    for command in COMMANDS:
        assert may(MANIFEST, command, _lost(BOSS, INACTIVE_TENANT), RowFacts("trees", OWN))


def test_closing_a_sharing_tenant_ends_no_membership() -> None:
    caller = in_state(Caller("guest", "authenticated", "{}", GUEST), INACTIVE_LENDER, "lender")
    assert caller.person == GUEST
    assert caller.closed == {"lender"}
    assert in_state(Caller("guest", "authenticated", "{}", GUEST), INACTIVE_MEMBERSHIP, OWN).closed == frozenset()


def test_lost_rights_do_not_change_the_mark_of_current_rights() -> None:
    cells = [Cell("grower", "trees", "select", "own tenant", "allow", "allow")]
    cells += [Cell("grower", "trees", "select", f"{state}: own tenant", "refuse", "refuse") for state in STATES]
    assert Proof(tuple(cells), (), "login", 1).matrix_rows()[0].marks == (("grower", "yes"),)
    cells[-1] = replace(cells[-1], got="allow")
    assert Proof(tuple(cells), (), "login", 1).matrix_rows()[0].marks == (("grower", "failed"),)
