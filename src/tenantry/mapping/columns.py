"""Compiles column rules to SQL: each target column's value, and when it is missing, invalid or recorded."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tenantry.catalog import Catalog, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.errors import nearest
from tenantry.manifest.model import ColumnRule, Correct, Default, Manifest, Treatment
from tenantry.manifest.positions import Key
from tenantry.mapping import casts, types
from tenantry.mapping.constants import unfit
from tenantry.mapping.expressions import Expressions, Say, Scopes, names
from tenantry.mapping.id_columns import id_array, ids_inside
from tenantry.mapping.id_transform import IdTransform
from tenantry.mapping.project import MappedColumn
from tenantry.mapping.transform import Between, Transform
from tenantry.mapping.transforms import transforms
from tenantry.mapping.types import enum_labels, into_column, plain_column
from tenantry.mapping.values.texts import plain_source, trimmed
from tenantry.mapping.values.type_names import base_type, is_text
from tenantry.postgres import ident, literal, literals

_OF_SOURCE = re.compile(r"""'(?:[^']|'')*'|\bs\.(?:"((?:[^"]|"")*)"|([A-Za-z_][\w$]*))""")


@dataclass(frozen=True, slots=True)
class ColumnCompiler:
    """Compiles the columns of one mapping."""

    manifest: Manifest
    source: Table
    target: Table
    root: Table | None
    scoped: bool
    """Whether rows have a tenant, so that expressions and time zones may refer to its row."""
    source_catalog: Catalog
    target_catalog: Catalog
    expressions: Expressions
    say: Say
    parents: Callable[[str], Table | None]

    def column(self, target: CatalogColumn, rule: ColumnRule, *, given: bool, key: Key) -> MappedColumn | None:
        """Compile the column; None if it keeps its default, or a problem was reported."""
        if rule.up is not None:
            return self._expression(target, rule, key)
        name = rule.source or target.name
        source = self.source.column(name)
        if source is None:
            if rule.source is not None:
                self.no_column(name, (*key, "from"))
            elif given or not (target.nullable or target.default or target.identity):
                why = "" if given else f", and {self.target.name}.{target.name} is NOT NULL without a default"
                near = _near(name, [column.name for column in self.source.columns])
                self.say(key, f"{self.source.name} has no column {name!r}{why}{near or ';'}"
                         ' say where it comes from: from = "…", or up = "<SQL>"')  # fmt: skip
            return None
        raw = f"s.{ident(name)}"
        if rule.python is not None:
            return MappedColumn(
                target.name, target.type, target.nullable, "python", name, f"py.{ident(target.name)}",
                present=f"{raw} is not null", missing=None if target.nullable else f"{raw} is null", python=rule.python,
            )  # fmt: skip
        if isinstance(rule.ref, str) and target.type.endswith("[]"):
            return id_array(self, raw, source, target, rule, key)
        original, source = source, plain_column(source, self.source_catalog)
        between = self._between(source, plain_column(target, self.target_catalog), rule, key)
        transform = _transform(rule)
        if transform is not None and (wrong := transform.misfit(between.source, between.target)):
            self.say((*key, "as"), wrong)
            return None
        if isinstance(transform, IdTransform):
            return ids_inside(self, transform, raw, target, between, rule, key)
        raw = plain_source(source, raw)
        made = self._transformed(raw, between, rule, key)
        if made is None:
            return None
        made = into_column(made, target, self.target_catalog)
        return replace(
            self._treated(made, raw, source, target, rule, key), down=self._down(original, between, target, rule, key)
        )

    # -- private -----------------------------------------------------------------------------------------------------

    def _between(self, source: CatalogColumn, target: CatalogColumn, rule: ColumnRule, key: Key) -> Between:
        return Between(
            source,
            target,
            self._zone(rule, key),
            self.source_catalog,
            self.target_catalog,
            rule.ids or {},
            rule.type or "",
        )

    def _scopes(self) -> Scopes:
        scopes = {"s": self.source}
        if self.root is not None and self.scoped:
            scopes["tenant"] = self.root
        return scopes

    def _expression(self, target: CatalogColumn, rule: ColumnRule, key: Key) -> MappedColumn | None:
        assert rule.up is not None
        known = self.expressions.check(rule.up, self._scopes(), (*key, "up"))
        if rule.source is not None and self.source.column(rule.source) is None:
            self.no_column(rule.source, (*key, "from"))
        if not known:
            return None
        source, down = rule.source, None
        if rule.down is not None and self.expressions.check(rule.down, {"t": self.target}, (*key, "down")):
            source = source or self._column_of(target, rule.up, (*key, "down"))
            column = self.source.column(source or "")
            down = f"({rule.down})::{column.type}" if column is not None else None
        value = f"({rule.up})::{target.type}"
        missing = None if target.nullable else f"({rule.up}) is null"
        return MappedColumn(target.name, target.type, target.nullable, "value", source, value, missing=missing, down=down,
                      zoned=names(rule.up, "tenant"))  # fmt: skip

    def _column_of(self, target: CatalogColumn, up: str, key: Key) -> str | None:
        """Return the source column that a `down` restores: the one of the same name, or the only one that `up` reads."""
        if self.source.column(target.name) is not None:
            return target.name
        read: set[str] = {
            quoted.replace('""', '"') if quoted else plain.lower()
            for quoted, plain in _OF_SOURCE.findall(up)
            if quoted or plain
        }
        if len(read) == 1:
            return next(iter(read))
        self.say(key, f'which column of {self.source.name} is this? Say so: from = "…"')
        return None

    def _down(
        self, original: CatalogColumn, between: Between, target: CatalogColumn, rule: ColumnRule, key: Key
    ) -> str | None:
        """Return SQL that restores the source's value from the target's row `t` and its `tenant`; null if it has none.

        Args:
            original, target: the columns themselves; domains are removed from those in `between`.
        """
        source, held = between.source, between.target
        value = f"t.{ident(target.name)}"
        if rule.down is not None:
            if not self.expressions.check(rule.down, {"t": self.target}, (*key, "down")):
                return None
            return f"({rule.down})::{original.type}"
        if held is not target:
            value = f"{value}::{held.type}"
        if rule.map is not None:
            made = self._unmapped(value, source, held, rule)
        elif (transform := _transform(rule)) is not None:
            made = transform.down(value, between)
        else:
            made = between.cast_back(value)
        nothing = self._no_value(source, target, rule)
        if nothing is not None:
            made = f"case when {value} is null then {literal(nothing)}::{source.type} else {made} end"
        return into_column(made, original, self.source_catalog)

    def _unmapped(self, value: str, source: CatalogColumn, target: CatalogColumn, rule: ColumnRule) -> str:
        """Return the first of the source's words for the value."""
        assert rule.map is not None
        words: dict[str, str] = {}
        for given, meant in rule.map.items():
            if unfit(given, source.type, enum_labels(source, self.source_catalog)) is None:
                words.setdefault(constant_text(meant), given)
        whens = " ".join(
            f"when {literal(meant)}::{target.type} then {literal(given)}" for meant, given in words.items()
        )
        return f"(case {value} {whens} end)::{source.type}" if words else f"null::{source.type}"

    @staticmethod
    def _no_value(source: CatalogColumn, target: CatalogColumn, rule: ColumnRule) -> str | None:
        """Return the text that replaces a null of the target if the source column cannot hold a null, or a null there means
        another value."""
        default: Treatment = "carry" if target.nullable else "quarantine"
        null = rule.null or default
        if not target.nullable or not is_text(source) or (source.nullable and null == "carry"):
            return None
        plain_text = is_text(target) and rule.transform is None and rule.map is None and not rule.missing
        if (rule.empty or null) != "carry" or plain_text:
            return None
        return rule.missing[0] if rule.missing else ""

    def has_source(self, table: str, key: Key) -> bool:
        """Whether a target table has a source, so that ids can lead to it; if not, the problem is reported."""
        if self.parents(table) is not None:
            return True
        known = [name for name, rule in self.manifest.tables.items() if rule.parts()]
        self.say(key, f"{table!r} is not a target table with a source{_near(table, known)}")
        return False

    def no_column(self, name: str, key: Key) -> None:
        """Report a source column that does not exist."""
        self.say(key, f"{self.source.name} has no column {name!r}" + _near(name, [c.name for c in self.source.columns]))

    def _transformed(self, raw: str, between: Between, rule: ColumnRule, key: Key) -> str | None:
        """Return the converted value of a raw value that is neither null nor treated as empty; null if it is invalid."""
        source, target = between.source, between.target
        if rule.map is not None:
            return self._mapped(raw, target, rule, key)
        if (transform := _transform(rule)) is not None:
            return transform.up(raw, between)
        if types.apart(source, self.source_catalog, target, self.target_catalog):
            self.say(
                key, f"{self.source.name}.{source.name} is {source.type} and {target.name} is {target.type}, with no cast between"
                ' them; say how with up = "<SQL>"'
            )  # fmt: skip
            return None
        if types.loses(source, self.source_catalog, target, self.target_catalog):
            self.say(
                key,
                f"{self.source.name}.{source.name} is {source.type} and {target.name} is {target.type}: a cast would drop part of"
                ' the value; say what it means with as = "local_day" or up = "<SQL>"',
            )
            return None
        return between.cast(raw)

    def _labels(self, target: CatalogColumn) -> tuple[str, ...] | None:
        return enum_labels(target, self.target_catalog)

    def _constant(self, value: str | int | float, target: CatalogColumn, key: Key) -> None:
        """Report a constant that does not fit its column."""
        if wrong := unfit(value, plain_column(target, self.target_catalog).type, self._labels(target)):
            self.say(key, wrong)

    def _mapped(self, raw: str, target: CatalogColumn, rule: ColumnRule, key: Key) -> str:
        assert rule.map is not None
        for given, value in rule.map.items():
            self._constant(value, target, (*key, "map", given))
        # As texts, so that all branches have one type; the cast converts them to the column's type.
        whens = " ".join(
            f"when {literal(given)} then {literal(constant_text(value))}" for given, value in rule.map.items()
        )
        return f"(case {raw}::text {whens} end)::{target.type}"

    def _zone(self, rule: ColumnRule, key: Key) -> str:
        zone = rule.zone
        if zone is None:
            return "'UTC'"
        if zone.startswith("tenant."):
            column = zone.removeprefix("tenant.")
            if not self.scoped:
                self.say((*key, "zone"), f'rows of {self.target.name} have no tenant; name a time zone, such as "UTC"')
                return "'UTC'"
            if self.root is not None and self.root.column(column) is None:
                near = _near(column, [each.name for each in self.root.columns])
                self.say((*key, "zone"), f"{self.root.name} has no column {column!r}{near}")
            return f"tenant.{ident(column)}"
        if zone not in zoneinfo.available_timezones():
            near = _near(zone, sorted(zoneinfo.available_timezones()))
            self.say((*key, "zone"), f"{zone!r} is not a time zone{near}")
        return literal(zone)

    def _treated(
        self, made: str, raw: str, source: CatalogColumn, target: CatalogColumn, rule: ColumnRule, key: Key
    ) -> MappedColumn:
        """Add the handling of null, empty and invalid values to a transformed value."""
        text_source = is_text(source)
        plain_text = text_source and is_text(plain_column(target, self.target_catalog))
        reads = rule.transform is not None or rule.map is not None or not plain_text
        sees_empty = text_source and (rule.empty is not None or bool(rule.missing) or reads)
        default: Treatment = "carry" if target.nullable else "quarantine"
        null = rule.null or default
        empty = rule.empty or null
        invalid = rule.invalid or "quarantine"
        zoned = rule.zone is not None and rule.zone.startswith("tenant.")
        for name, treatment in (("null", rule.null), ("empty", rule.empty), ("invalid", rule.invalid)):
            if treatment == "carry" and not target.nullable and not (name == "empty" and plain_text and not reads):
                self.not_null(target, name, key)
            zoned = self.checked(treatment, target, (*key, name)) or zoned
        for name, given in (("empty", rule.empty is not None), ("missing", bool(rule.missing))):
            if given and not text_source:
                self.say(
                    (*key, name),
                    f"only text can be empty or mean a missing value, but {source.name} is {source.type}",
                )

        words = literals(["", *rule.missing])
        is_empty = f"{trimmed(raw)} in ({words})" if sees_empty else None
        never_null = not source.nullable
        cases, missing, noted = [], [], []
        if null != "carry" and not never_null:
            cases.append(f"when {raw} is null then {self.put(null, target)}")
            if null == "quarantine":
                missing.append(f"{raw} is null")
            else:
                noted.append(f"{raw} is null")
        if is_empty is not None and not (empty == "carry" and plain_text and not reads):
            if isinstance(empty, Default | Correct) or not self._reads_no(rule, target, ("", *rule.missing)):
                cases.append(f"when {is_empty} then {self.put(empty, target)}")
            if empty == "quarantine":
                missing.append(is_empty)
            elif empty != "carry":
                noted.append(is_empty)
        can_fail = "case " in made
        value = f"case {' '.join(cases)} else {made} end" if cases else made
        present = None
        if can_fail:
            present = f"{raw} is not null" + (f" and {is_empty} is not true" if is_empty else "")
        said = "defaulted" if noted else ""
        transform = _transform(rule)
        if transform is not None and (normal := transform.normal(raw)) is not None:
            noted.append(f"{raw} <> {normal}")
            said = "normalised"
        if (base_type(source.type), base_type(target.type)) == ("json", "jsonb") and not cases:
            noted.append(casts.doubled_keys(raw, made))
            said = "first of two keys dropped"
        return MappedColumn(
            target.name,
            target.type,
            target.nullable,
            "value",
            source.name,
            value,
            present=present,
            fallback=None if invalid == "quarantine" else self.put(invalid, target),
            missing=" or ".join(missing) or None,
            noted=" or ".join(noted) or None,
            rule=said,
            zoned=zoned,
        )

    def _reads_no(self, rule: ColumnRule, target: CatalogColumn, words: Sequence[str]) -> bool:
        """Whether these words are invalid for the transform anyway, so values need not be compared with them first."""
        if rule.map is not None:
            return not set(words) & set(rule.map)
        labels = self._labels(target)
        if (transform := _transform(rule)) is None:
            return labels is not None and target.type_kind == "enum" and not set(words) & set(labels)
        return all(transform.refuses_word(word) for word in words)

    def not_null(self, target: CatalogColumn, name: str, key: Key) -> None:
        """Report a treatment that would make a null in a column that must not be null."""
        self.say(
            (*key, name),
            f'{self.target.name}.{target.name} is NOT NULL: {name} = "carry" cannot be; use "quarantine",'
            " { default = … } or { correct = … }",
        )

    def checked(self, treatment: Treatment | None, target: CatalogColumn, key: Key) -> bool:
        """Check the value that a treatment puts in place of another; return whether it depends on the tenant's row."""
        if isinstance(treatment, Correct):
            known = self.expressions.check(treatment.correct, self._scopes(), (*key, "correct"))
            return known and names(treatment.correct, "tenant")
        if isinstance(treatment, Default):
            self._constant(treatment.default, target, (*key, "default"))
        return False

    def put(self, treatment: Treatment, target: CatalogColumn) -> str:
        """Return SQL of the value that a treatment puts in place of another."""
        if isinstance(treatment, Default):
            return f"{literal(constant_text(treatment.default))}::{target.type}"
        if isinstance(treatment, Correct):
            return f"({treatment.correct})::{target.type}"
        return f"null::{target.type}"


def _transform(rule: ColumnRule) -> Transform | None:
    """Return the transform that a rule names; check_transforms has checked that it exists."""
    return transforms()[rule.transform] if rule.transform is not None else None


def constant_text(value: str | int | float) -> str:
    """Return a constant in the form in which PostgreSQL reads it for any type that it fits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _near(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""
