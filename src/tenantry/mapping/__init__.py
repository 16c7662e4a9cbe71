"""A manifest resolved against source and target: every mapping of a source table to a target table, checked and compiled."""

from tenantry.mapping.project import DocumentIds, MappedColumn, Mapping, Project, Reference
from tenantry.mapping.resolve import resolve

__all__ = ["DocumentIds", "MappedColumn", "Mapping", "Project", "Reference", "resolve"]
