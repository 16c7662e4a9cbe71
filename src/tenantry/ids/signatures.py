"""Names, signatures and comments of the functions that look ids up."""

from __future__ import annotations

from tenantry.journal.names import JOURNAL
from tenantry.postgres import literal

FORMS = ("old", "new")

SIGNATURES = {
    "id_of": "id_of(text, text)",
    "old_id_of": "old_id_of(text, uuid)",
    "to_id": "to_id(text, text)",
    "ids_of": "ids_of(text, text[])",
    "old_ids_of": "old_ids_of(text, uuid[])",
    "merged_into": "merged_into(text, text)",
    "note_id_use": "note_id_use(text, text)",
    "uuids_among": "uuids_among(text[], text[])",
}

COMMENTS = {
    "id_of": (
        "The new id of a row by its old one: of a merged row that of the one which stands for it; a new id "
        "gives itself. Null for rows that are unknown, in quarantine, or that the caller may not see."
    ),
    "ids_of": ("As id_of(), for many at once: a row for each id that is known. For the owner and the service."),
    "old_id_of": (
        "The old id of a row by its new one, without the prefix that tells several sources apart; a row that "
        "was born in the target has its own id as text. Null for rows that are unknown, or that the caller "
        "may not see."
    ),
    "old_ids_of": ("As old_id_of(), for many at once: a row for each id that is known. For the owner and the service."),
    "to_id": (
        "The new id for either form: tables of [ids] both accept old ids, which are counted in "
        "tenantry.id_use, and new ids; other tables accept new ids only. A new id is not looked up; an old id "
        "that is unknown, or that the caller may not see, gives null."
    ),
    "merged_into": (
        "The old id of the row that a row was merged into, for members of its tenant; null for other callers."
    ),
}


def comment_on(name: str) -> str:
    return f"comment on function {JOURNAL}.{SIGNATURES[name]} is {literal(COMMENTS[name])}"


__all__ = ["COMMENTS", "FORMS", "SIGNATURES", "comment_on"]
