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
        "The new id for an old one; for a merged row the id of the surviving row. A new id "
        "returns itself. Null for rows that are unknown, in quarantine, or invisible to the caller."
    ),
    "ids_of": ("Like id_of(), for many ids: a row for each known id. For the owner and the service."),
    "old_id_of": (
        "The old id for a new one, without the prefix that distinguishes several sources; a target-native row "
        "has its own id as text. Null for rows that are unknown or "
        "invisible to the caller."
    ),
    "old_ids_of": ("Like old_id_of(), for many ids: a row for each known id. For the owner and the service."),
    "to_id": (
        "The new id for either form. Tables of [ids] both accept old ids, which are counted in "
        "tenantry.id_use, and new ids; other tables accept new ids only. A new id is not looked up; an old id "
        "that is unknown or invisible to the caller returns null."
    ),
    "merged_into": (
        "The old id of the row that a row was merged into, for members of its tenant; null for other callers."
    ),
}


def comment_on(name: str) -> str:
    return f"comment on function {JOURNAL}.{SIGNATURES[name]} is {literal(COMMENTS[name])}"


__all__ = ["COMMENTS", "FORMS", "SIGNATURES", "comment_on"]
