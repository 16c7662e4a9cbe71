"""The target written for other tools: SQL files, migration folders, models."""

from tenantry.export.form import Form, all_forms, find_form
from tenantry.export.subject import ExportPart, Subject, read_subject
from tenantry.export.write import write_export

__all__ = ["ExportPart", "Form", "Subject", "all_forms", "find_form", "read_subject", "write_export"]
