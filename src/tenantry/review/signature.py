"""A signed plan: who has reviewed which plan, of which manifest and which source, and whether all of that is still so.

The file names a reviewer and holds digests; it is no cryptographic signature. It shows that nothing changed by accident since the
review, and says what did. Anyone who can write the file can write another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tenantry import __version__
from tenantry.catalog import Catalog, Column, Table, canonical
from tenantry.errors import PlanChanged, PlanNotSigned, SignatureWrong

FORMAT = 1
_MOST = 20


@dataclass(frozen=True, slots=True)
class SignedPlan:
    """A reviewer's statement.

    Attributes:
        signed_at: ISO time with zone.
        plan, manifest, source: digests of the plan, of the manifest with the target's files, and of the source's schema.
        objects: a description of every object of the source's schema, by kind and name, such as "column users.email".
        only: the condition of a pilot.
    """

    name: str
    reviewer: str
    signed_at: str
    plan: str
    manifest: str
    source: str
    steps: int
    objects: Mapping[str, str]
    only: str | None = None
    note: str = ""
    tool_version: str = __version__
    format: int = field(default=FORMAT)

    @property
    def seal(self) -> str:
        """Return the SHA-256 of all fields, which shows that the file was edited by hand."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "seal": self.seal}


def signature_file(manifest: Path) -> Path:
    """Return where the signature of a manifest's plan lies: beside the manifest."""
    return manifest.with_name(f"{manifest.stem}.signed.json")


def write_signature(signature: SignedPlan, file: Path) -> None:
    """Write a signature, in place of an earlier one."""
    file.write_text(json.dumps(signature.to_json(), indent=1) + "\n", encoding="utf-8")


def read_signature(file: Path) -> SignedPlan | None:
    """Read a signature; None if the file does not exist.

    Raises:
        SignatureWrong: the file is no signature, or was changed.
    """
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        seal = plain.pop("seal")
        found = SignedPlan(**plain)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SignatureWrong(
            f"{file.name} cannot be read as a signed plan ({type(error).__name__}). Nothing was changed.",
            hint="Sign the plan again: tenantry plan sign --reviewer NAME.",
        ) from error
    if found.format != FORMAT or found.seal != seal:
        raise SignatureWrong(
            f"{file.name} was changed since {found.reviewer} signed it, or another version wrote it. Nothing was changed.",
            hint="Restore the file, or sign the plan again: tenantry plan sign --reviewer NAME.",
        )
    return found


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature is about: the plan that would run now."""

    plan: str
    manifest: str
    source: Catalog
    only: str | None = None


def check_signature(signature: SignedPlan | None, now: Signed, *, required: bool, file: Path) -> None:
    """Compare a signature with what would run.

    Raises:
        PlanNotSigned: there is none, and it is required.
        PlanChanged: with everything that changed since.
    """
    if signature is None:
        if required:
            raise PlanNotSigned(
                f"The plan is not signed: there is no {file.name} beside the manifest. Nothing was changed.",
                hint="Review `tenantry plan`, then run: tenantry plan sign --reviewer NAME.",
            )
        return
    changes = list(changed_since(signature, now))
    if not changes:
        return
    shown = [*changes[:_MOST], *([f"… and {len(changes) - _MOST} more"] if len(changes) > _MOST else [])]
    raise PlanChanged(
        f"The plan that {signature.reviewer} signed on {signature.signed_at[:10]} is not the one that would run now. Nothing was"
        " changed. Since then:\n" + "\n".join(f"  {each}" for each in shown),
        hint="Review the plan again (`tenantry plan`), and sign it: tenantry plan sign --reviewer NAME.",
        detail={"changes": changes, "reviewer": signature.reviewer, "signed_at": signature.signed_at},
    )


def changed_since(signature: SignedPlan, now: Signed) -> Iterator[str]:
    """Return what changed since a signature, in words; the objects of the source by kind and name."""
    if signature.only != now.only:
        yield f"pilot: signed {_only(signature.only)}, would run {_only(now.only)}"
    if signature.manifest != now.manifest:
        yield "manifest: tenantry.toml or the target's files"
    there = objects(now.source)
    for name in sorted({*signature.objects, *there}):
        was, is_now = signature.objects.get(name), there.get(name)
        if was is None:
            yield f"new: {name} ({is_now})"
        elif is_now is None:
            yield f"dropped: {name}"
        elif was != is_now:
            yield f"changed: {name}: {was} → {is_now}"
    same = signature.manifest == now.manifest and signature.objects == there and signature.only == now.only
    if same and signature.plan != now.plan:
        version = (
            ""
            if signature.tool_version == __version__
            else f" (signed with {signature.tool_version}, this is {__version__})"
        )
        yield f"plan: its steps or statements, from another login or another version of Tenantry{version}"


def _only(condition: str | None) -> str:
    return "without --only" if condition is None else f"with --only {condition!r}"


# -- the source's objects ----------------------------------------------------------------------------------------------


def objects(catalog: Catalog) -> dict[str, str]:
    """Return a description of every object of a schema, by kind and name. Partitions come and go, so they are left out."""
    found: dict[str, str] = {}
    for table in catalog.tables:
        if table.partition_of is None:
            found |= _of_table(table)
    for view in catalog.views:
        found[f"view {view.name}"] = _digest(view.definition, view.options)
    for function in catalog.functions:
        found[f"function {function.name}({function.arguments})"] = _digest(function.definition, function.config)
    for enum in catalog.enums:
        found[f"type {enum.name}"] = ", ".join(enum.labels)
    for domain in catalog.domains:
        found[f"domain {domain.name}"] = _digest(
            domain.base, domain.nullable, *(each.definition for each in domain.checks)
        )
    for composite in catalog.composites:
        found[f"type {composite.name}"] = _digest(*(_column(each) for each in composite.columns))
    return found


def _of_table(table: Table) -> dict[str, str]:
    found = {f"table {table.name}": _table(table)}
    found |= {f"column {table.name}.{each.name}": _column(each) for each in table.columns}
    found |= {f"constraint {each.name} of {table.name}": each.definition for each in table.constraints}
    found |= {f"trigger {each.name} of {table.name}": f"{each.enabled}: {each.definition}" for each in table.triggers}
    found |= {f"policy {each.name} of {table.name}": _digest(canonical.to_plain(each)) for each in table.policies}
    found |= {
        f"index {each.name} of {table.name}": each.definition for each in table.indexes if each.constraint is None
    }
    return found


def _table(table: Table) -> str:
    security = (
        "row-level security forced"
        if table.rls_forced
        else "row-level security"
        if table.rls_enabled
        else "no row-level security"
    )
    return f"{table.kind}, {security}, {len(table.rules)} rules"


def _column(column: Column) -> str:
    parts = [column.type]
    if not column.nullable:
        parts.append("not null")
    if column.identity:
        parts.append(f"generated {column.identity} as identity")
    if column.generated:
        parts.append(f"generated ({column.generated})")
    elif column.default is not None:
        parts.append(f"default {column.default}")
    if column.collation:
        parts.append(f"collate {column.collation}")
    return " ".join(parts)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
