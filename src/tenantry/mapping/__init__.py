"""A manifest resolved against source and target: every mapping of a source table onto a target table, checked and compiled."""

from tenantry.mapping.project import Column, JsonIds, Mapping, Project, Reference
from tenantry.mapping.resolve import resolve

__all__ = ["Column", "JsonIds", "Mapping", "Project", "Reference", "resolve"]
