"""Tenantry: take a live single-tenant PostgreSQL application to many tenants, and prove that they are isolated."""

__version__ = "0.1.0"
