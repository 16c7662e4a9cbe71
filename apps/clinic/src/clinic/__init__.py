"""Clinic: a KPI platform for dental groups; the application that Tenantry takes from one tenant to many."""
