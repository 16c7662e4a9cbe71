"""Checks that the sources of target tables can be told apart: by their names, their old ids and their derived ids. Pure."""

from __future__ import annotations

from tenantry.mapping.source_checks import SourceChecks, mapping_name, namespace_of, part_key


def check_parts(checks: SourceChecks) -> None:
    """Check that no two target tables share source table and part, from which ids are derived."""
    _check_labels(checks)
    taken: dict[tuple[str, str | None], tuple[str, str]] = {}
    for name, rule in checks.manifest.tables.items():
        for label, part in rule.parts().items():
            key = part_key(name, label)
            if part.part is None:
                checks.primary.setdefault(part.source, name)
            other = taken.setdefault((part.source, part.part), (name, label))
            if other == (name, label):
                continue
            if part.part is None:
                checks.say(
                    (*key, "from"),
                    f"{part.source} is already migrated into {other[0]} ; give this one a part"
                    ' (part = "…"), which keeps its derived ids apart',
                )
            else:
                checks.say(
                    (*key, "part"),
                    f"{part.source} has a part {part.part!r} already, in {other[0]}; take another word",
                )


def _check_labels(checks: SourceChecks) -> None:
    """Check names and labels: the journal knows a source of a target table by both names, and its rows by label and
    key."""
    known: dict[str, str] = {}
    spaces: dict[str, str] = {}
    for name, rule in sorted(checks.manifest.tables.items(), key=lambda each: bool(each[1].sources)):
        for label, part in rule.parts().items():
            key = part_key(name, label)
            if not label and rule.sources:
                checks.say(key, "a source needs a label, which is the prefix of the old ids of its rows")
            if other := known.get(mapping_name(name, label)):
                checks.say(
                    key,
                    f"{mapping_name(name, label)} would be the name of this source and of {other}; give it another label",
                )
            known[mapping_name(name, label)] = f"a source of {name}" if label else f"the target table {name}"
            for other in rule.sources:
                if label.startswith(f"{other}:"):
                    checks.say(
                        key, f"old ids of {label!r} could be those of {other!r}; give it a label without a colon"
                    )
            said = f"the part {part.part!r} of {part.source}" if part.part else f"the source table {part.source}"
            other = spaces.setdefault(namespace_of(part), said)
            if other != said:
                checks.say(key, f"ids of {said} would be those of {other}: take another word for the part")


__all__ = ["check_parts"]
