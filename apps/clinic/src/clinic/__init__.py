"""Clinic: a KPI platform for dental groups; the application that Tenantry migrates from one tenant to many."""
