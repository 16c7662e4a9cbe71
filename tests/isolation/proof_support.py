"""What tests of a proof share."""

from __future__ import annotations

from tenantry.prove import Proof, prove
from tests.isolation.build import Built

Cell = tuple[str, str, str, str]


def prove_built(built: Built, *tables: str) -> Proof:
    return prove(built.project, owner_dsn=built.owner_dsn, login_dsn=built.login_dsn, tables=tables if tables else None)


def failures_of(proof: Proof) -> set[Cell]:
    return {(cell.role, cell.command, cell.table, cell.relation) for cell in proof.failures}


def count_rows(built: Built) -> int:
    with built.database.connect() as owner:
        names = [table.name for table in built.project.target.tables]
        schema = built.project.target.schema
        queries = " union all ".join(f'select count(*) from "{schema}"."{name}"' for name in names)
        query = f"select sum(count) from ({queries} union all select count(*) from auth.users) as c"
        found = owner.execute(query.encode()).fetchone()
    assert found is not None
    return int(str(found[0]))


def prove_in_place(built: Built, *tables: str) -> Proof:
    return prove(built.project, owner_dsn=built.owner_dsn, login_dsn=None, tables=tables or None)
