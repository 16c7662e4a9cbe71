"""What the tests of transforms share: columns, the SQL both ways for people to review, and why a transform does not fit."""

from __future__ import annotations

from tenantry.catalog import Column
from tenantry.mapping.transform import Between, Transform
from tenantry.mapping.transforms import transforms
from tenantry.mapping.values.type_names import base_type
from tests.fixtures import same_as_snapshot


def between(source: str, target: str, zone: str = "'UTC'") -> Between:
    """Columns `old` and `new` of these types."""
    old, new = (
        Column(name, kind, type_name=base_type(kind)) for name, kind in (("old", source), ("new", target))
    )  # fmt: skip
    return Between(old, new, zone)


def named(name: str) -> Transform:
    return transforms()[name]


def misfit(name: str, source: str, target: str) -> str | None:
    """Why the transform cannot stand between two types."""
    there = between(source, target)
    return named(name).misfit(there.source, there.target)


def same_sql(name: str, *pairs: tuple[str, str], zone: str = "'UTC'") -> None:
    """Compare the SQL there and back, between each pair of types, with the reviewed file `snapshots/transforms/<name>.sql`."""
    texts = []
    for source, target in pairs:
        there = between(source, target, zone)
        assert named(name).misfit(there.source, there.target) is None
        up, down = named(name).up("s.old", there), named(name).down("t.new", there)
        texts.append(f"-- {source} into {target}\n-- up\n{_lines(up)}\n-- down\n{_lines(down)}\n")
    same_as_snapshot(f"transforms/{name}.sql", "\n".join(texts))


def _lines(sql: str) -> str:
    return sql.replace(" when ", "\n  when ").replace(" else ", "\n  else ")
