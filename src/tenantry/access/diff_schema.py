"""Compares the rights on the schema, and the default privileges of later objects, with the manifest. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.access.diff_rights import compare_rights, expected_rights
from tenantry.access.difference import AccessDifference
from tenantry.access.grants import schema_right
from tenantry.access.read_live import LiveAccess
from tenantry.access.statements import default_privileges
from tenantry.catalog import PUBLIC
from tenantry.mapping.project import Project
from tenantry.postgres import ident


def compare_schema(project: Project, live: LiveAccess) -> Iterator[AccessDifference]:
    right = schema_right(project)
    target = project.target
    yield from compare_rights(
        live, "schema", right.name, f"schema {target.schema}", expected_rights([right]), target.grants, target.owner
    )
    yield from _defaults(project, live)


def _defaults(project: Project, live: LiveAccess) -> Iterator[AccessDifference]:
    """Compare the default privileges: later objects must be closed to clients."""
    roles = project.manifest.database_roles
    close, *_ = default_privileges(project, live.owner)
    on = f"schema {project.target.schema}"
    functions = [
        each for each in live.defaults if (each.role, each.schema, each.kind) == (live.owner, None, "functions")
    ]
    if not functions or any(each.grantee == PUBLIC for each in functions):
        yield AccessDifference(
            "default privileges", "missing", on, f"functions made later by {live.owner}", "PUBLIC may not execute them",
            "PUBLIC may execute them", fix=(close,),
        )  # fmt: skip
    clients = {PUBLIC, roles.anon, roles.authenticated, roles.login}
    opened = sorted(
        {
            (each.role, each.schema or "", each.kind, each.grantee, each.privilege)
            for each in live.defaults
            if each.grantee in clients and each.privilege is not None and each.kind in ("tables", "sequences", "functions")
            and not (each.kind == "functions" and each.schema is None and each.grantee == PUBLIC)
        }
    )  # fmt: skip
    for role, schema, kind, grantee, privilege in opened:
        within = f" in schema {ident(schema)}" if schema else ""
        who = "public" if grantee == PUBLIC else ident(str(grantee))
        statement = f"alter default privileges for role {ident(role)}{within} revoke {str(privilege).lower()} on {kind} from {who};"
        mine = role == live.owner
        yield AccessDifference(
            "default privileges", "extra", on, f"{kind} made later by {role}", "closed to clients", f"{privilege} for {grantee}",
            fix=(statement,) if mine else (), removes=mine,
            advice="" if mine else f"Ask {role}, or a superuser, to run: {statement}",
        )  # fmt: skip
