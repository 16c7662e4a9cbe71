"""The manifest: its model, its reader, and its resolution against source and target."""

from tenantry.manifest.load import Named, Problem, load_manifest, load_named, manifest_digest, target_files
from tenantry.manifest.mapping import Column, JsonIds, Mapping, Project, Reference
from tenantry.manifest.model import COMMANDS, Access, Cell, Colleagues, Command, Manifest, Own
from tenantry.manifest.resolve import resolve

__all__ = [
    "COMMANDS",
    "Access",
    "Cell",
    "Colleagues",
    "Column",
    "Command",
    "JsonIds",
    "Manifest",
    "Mapping",
    "Named",
    "Own",
    "Problem",
    "Project",
    "Reference",
    "load_manifest",
    "load_named",
    "manifest_digest",
    "resolve",
    "target_files",
]
