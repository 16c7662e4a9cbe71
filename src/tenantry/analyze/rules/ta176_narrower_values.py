from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import carried_pairs
from tenantry.catalog import Column
from tenantry.mapping.values.type_names import base_type, is_text, numeric_limits, precision, text_length


class NarrowerValues(AnalysisRule):
    """The new type holds fewer digits, less of a time, or shorter texts; or json becomes jsonb, which keeps neither the order
    of keys nor repeated ones; or texts compare by another collation, so that other values count as equal. Digits and texts
    are never cut: such a value is invalid, and quarantined unless the manifest says what replaces it. Part of a time is only
    dropped where the manifest converts it. `tenantry plan` shows samples, and the number of values that cannot be converted.
    """

    code = "TA-176"
    severity = "notice"
    area = "data"
    title = "digits, times or text could be lost"

    def find(self, case: Case) -> Iterator[Finding]:
        for mapping, column, source, target in carried_pairs(case.project):
            if (said := _narrower(source, target)) is not None:
                yield self.finding(
                    mapping.target.name, f"{column.source}: {said}", column=column.name,
                    advice="Look at the samples of `tenantry plan`, or give the target a wider type.",
                )  # fmt: skip


def _narrower(source: Column, target: Column) -> str | None:
    before, after = base_type(source.type), base_type(target.type)
    limit, had = text_length(target.type), text_length(source.type)
    if limit is not None and is_text(source) and (had is None or had > limit):
        return f"texts longer than {limit} characters are invalid"
    if is_text(source) and is_text(target):
        if (source.collation, before == "citext") != (target.collation, after == "citext"):
            return "texts are compared by other rules, so other values count as equal"
        return None
    if (before, after) == ("json", "jsonb"):
        return "the order of keys, repeated keys and blanks are not kept"
    if before.startswith("timestamp") and (after == "date" or after.startswith("time ")):
        return f"{target.type} keeps only a part of each time"
    if before.startswith("time") and after.startswith("time") and precision(source.type) > precision(target.type):
        return f"{target.type} keeps fewer digits of a second"
    return _fewer_digits(source.type, target.type)


_WHOLE = {"smallint": 5, "integer": 10, "bigint": 19}


def _fewer_digits(source: str, target: str) -> str | None:
    before, after = base_type(source), base_type(target)
    if before in _WHOLE and after in _WHOLE:
        return None if _WHOLE[before] <= _WHOLE[after] else f"numbers beyond {after} are invalid"
    if before == "double precision" and after == "real":
        return "numbers with more digits than real has are invalid"
    if before in ("real", "double precision", "numeric") and after in _WHOLE:
        return "numbers with a fraction are invalid"
    if after != "numeric" or before not in ("numeric", "real", "double precision", *_WHOLE):
        return None
    want, have = numeric_limits(target), numeric_limits(source)
    whole = _WHOLE.get(before, have.whole)
    scale = 0 if before in _WHOLE else have.scale
    if want.scale is not None and (scale is None or scale > want.scale):
        return f"numbers with more than {want.scale} digits behind the point are invalid"
    if want.whole is not None and (whole is None or whole > want.whole):
        return f"numbers with more than {want.whole} digits before the point are invalid"
    return None
