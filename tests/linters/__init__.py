"""Linters that others made, over what Tenantry generates for Clinic."""
