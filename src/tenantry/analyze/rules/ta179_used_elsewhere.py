from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case


class UsedElsewhere(AnalysisRule):
    """A view, a foreign key, a policy, a rewrite rule or a function of another schema refers to a source table, such as policies of
    Supabase's `storage.objects`. It keeps reading the source after the cut-over, and `tenantry contract` cannot drop the source
    while it exists; a function fails then. Write its counterpart on the target, and drop it before the contract. A foreign
    key's values are old ids: convert them with `tenantry ids`. Functions are searched by their text.
    """

    code = "TA-179"
    severity = "warning"
    area = "schema"
    title = "another schema refers to source tables"

    def find(self, case: Case) -> Iterator[Finding]:
        for each in case.around.users:
            yield self.finding(
                each.name, f"{each.kind} {each.name} refers to {', '.join(each.tables)}", keys=each.tables,
                advice="Write a counterpart on the target, and drop it before the contract.",
            )  # fmt: skip
