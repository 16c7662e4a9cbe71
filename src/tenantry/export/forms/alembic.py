"""Revisions of Alembic, with upgrade and downgrade; the SQL of each stands in it, statement by statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pglast

from tenantry.export.form import Form
from tenantry.export.python_text import docstring, raw_text
from tenantry.export.subject import ExportPart, Subject

_BRANCH = "tenantry"
_HEAD = '''\
{docstring}

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {previous!r}
branch_labels = {labels!r}
depends_on = None


def upgrade() -> None:
    _run(UPGRADE)


def downgrade() -> None:
    _run(DOWNGRADE)


def _run(statements: tuple[str, ...]) -> None:
    """In the transaction of the revision; the search path is afterwards as it was."""
    _execute("select set_config('tenantry.search_path', current_setting('search_path'), true)")
    for statement in statements:
        _execute(statement)
    _execute("select set_config('search_path', current_setting('tenantry.search_path'), true)")


def _execute(statement: str) -> None:
    context = op.get_context()
    if context.as_sql:  # as it is: SQLAlchemy would double each percent sign
        context.impl.static_output(f"{{statement}}\\n;\\n")
    else:
        # A colon is one of SQL's, never the beginning of a parameter.
        op.execute(sa.text(statement.replace(":", r"\\:")))


UPGRADE = (
{upgrade}
)

DOWNGRADE = (
{downgrade}
)
'''


class Alembic(Form):
    name = "alembic"
    title = "revisions of Alembic, with upgrade and downgrade"
    example = "migrations"
    apply = "alembic upgrade tenantry@head"

    def files(self, subject: Subject) -> Mapping[str, str]:
        made, previous = {}, None
        for number, part in enumerate(subject.parts, 1):
            revision = f"tenantry_{number:02}"
            made[f"versions/{revision}_{part.name}.py"] = _revision(part, revision, previous)
            previous = revision
        return made


def _revision(part: ExportPart, revision: str, previous: str | None) -> str:
    about = [f"{part.title[0].upper()}{part.title[1:]}.", part.note]
    if previous is None:
        about.append(
            "The roles of the cluster must be there (`tenantry roles --sql`). The branch `tenantry` stands beside the other revisions"
            " of a project; to put it behind one of them, set down_revision."
        )
    return _HEAD.format(
        docstring=docstring(*about),
        revision=revision,
        previous=previous,
        labels=(_BRANCH,) if previous is None else None,
        upgrade=_statements(part.script()),
        downgrade=_statements(part.script(undo=True)),
    )


def _statements(script: str) -> str:
    """Drivers that prepare a statement take one at a time."""
    statements: Sequence[str] = pglast.split(script, with_parser=False)
    return "\n".join(f"{raw_text(statement)}," for statement in statements)
