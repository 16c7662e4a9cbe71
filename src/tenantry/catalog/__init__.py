"""The model of a schema, its reader, and its output as documents."""

from tenantry.catalog.diagram import entity_diagram_mermaid
from tenantry.catalog.dictionary import dictionary_markdown
from tenantry.catalog.model import (
    PUBLIC,
    Below,
    Catalog,
    Column,
    CompositeType,
    Constraint,
    DomainType,
    EnumType,
    Function,
    Grant,
    Index,
    Policy,
    Publication,
    QualifiedName,
    Sequence,
    Table,
    Trigger,
    View,
)
from tenantry.catalog.reader import has_schema, need_schema, read_catalog

__all__ = [
    "PUBLIC",
    "Below",
    "Catalog",
    "Column",
    "CompositeType",
    "Constraint",
    "DomainType",
    "EnumType",
    "Function",
    "Grant",
    "Index",
    "Policy",
    "Publication",
    "QualifiedName",
    "Sequence",
    "Table",
    "Trigger",
    "View",
    "dictionary_markdown",
    "entity_diagram_mermaid",
    "has_schema",
    "need_schema",
    "read_catalog",
]
