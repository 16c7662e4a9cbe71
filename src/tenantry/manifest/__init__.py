"""The manifest as a document: its model and its reader. Nothing here knows a database."""

from tenantry.manifest.load import Named, Problem, load_manifest, load_named, manifest_digest, target_files
from tenantry.manifest.model import COMMANDS, Access, Cell, Colleagues, Command, Manifest, Own

__all__ = [
    "COMMANDS",
    "Access",
    "Cell",
    "Colleagues",
    "Command",
    "Manifest",
    "Named",
    "Own",
    "Problem",
    "load_manifest",
    "load_named",
    "manifest_digest",
    "target_files",
]
