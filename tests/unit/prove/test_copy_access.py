"""What a copy must have for an attack that fails there to say something."""

from __future__ import annotations

from dataclasses import replace

from tenantry.catalog import Catalog, Column, Table
from tenantry.catalog.table import Grant, Policy
from tenantry.dbcopy.checks import lacking_access

NOTES = Table(
    "app",
    "notes",
    columns=(Column("title", "text"),),
    owner="app_owner",
    grants=(
        Grant("app_owner", "SELECT"),
        Grant("authenticated", "SELECT"),
        Grant("authenticated", "UPDATE", column="title"),
    ),
    policies=(Policy("mine", roles=("authenticated",)), Policy("owner_all", roles=("app_owner",))),
)


def test_rights_and_policies_of_clients_that_a_copy_lacks_are_named() -> None:
    whole = Catalog("app", tables=(NOTES,), grants=(Grant("PUBLIC", "USAGE"),))
    bare = Catalog("app", tables=(replace(NOTES, grants=(), policies=(Policy("owner_all", roles=("app_owner",)),)),))
    assert lacking_access(whole, whole, ("authenticated",)) == []
    assert lacking_access(whole, bare, ("authenticated",)) == [
        "SELECT on notes for authenticated",
        "UPDATE on notes.title for authenticated",
        "USAGE on schema app for PUBLIC",
        "policy mine of notes",
    ]
    # What the owner has in the one, and clients more in the other, does not make an attack fail.
    assert lacking_access(bare, whole, ("authenticated",)) == []
