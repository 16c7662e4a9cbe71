"""The whole proof as one assertion."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tenantry.manifest import Manifest, load_manifest
from tenantry.migrate.apply_access import has_writes
from tenantry.postgres import connect
from tenantry.prove.attacks.harness.accepted import INHERENT
from tenantry.prove.attacks.run import ask_rights
from tenantry.prove.evidence import accepted_attacks, accepted_cells, lint_exceptions
from tenantry.prove.lint.run import find_exceptions, run_lint
from tenantry.prove.matrix.prove import prove
from tenantry.prove.test_items import of_lint, of_matrix, of_rights
from tenantry.testing.read import read_project


def assert_isolated(
    dsn: str,
    manifest: Manifest | Path | str,
    *,
    tables: Collection[str] | None = None,
) -> None:
    """Fail unless the database obeys its access matrix: lint, every cell of the matrix, and the rights that attacks need.

    The database stays unchanged: everything is read-only or rolled back. As for `tenantry prove`, the exceptions of
    `tenantry-lint.toml` next to the manifest apply.

    Args:
        dsn: as for as_user().
        tables: try the cells of these tables only; lint and rights cover all.

    Raises:
        AssertionError: lists everything that failed.
        TenantryError: nothing could be tried.
    """
    loaded = manifest if isinstance(manifest, Manifest) else load_manifest(Path(manifest))
    with connect(dsn, name="tenantry testing") as connection:
        project = read_project(connection, loaded)
        exceptions = find_exceptions(loaded.folder)
        lint = run_lint(connection, manifest=loaded, exceptions=lint_exceptions(exceptions))
        rights = ask_rights(connection, project, accepted={**INHERENT, **accepted_attacks(exceptions)})
        writes = has_writes(connection)
    proof = prove(project, owner_dsn=dsn, login_dsn=None, writes=writes, tables=tables)
    cells = of_matrix(proof, loaded.tables if tables is None else tables, accepted_cells(proof, exceptions))
    verdicts = [of_lint(lint), cells, of_rights(rights)]
    failed = [verdict.message for each in verdicts for verdict in each.values() if verdict.outcome == "failed"]
    if failed:
        raise AssertionError("\n\n".join(["The database does not keep its tenants apart.", *failed]))


__all__ = ["assert_isolated"]
