"""Drafts: from a survey to a manifest, the target's SQL files, and the open questions."""

from tenantry.draft.make import make_draft
from tenantry.draft.model import Draft, DraftOptions, Question

__all__ = ["Draft", "DraftOptions", "Question", "make_draft"]
