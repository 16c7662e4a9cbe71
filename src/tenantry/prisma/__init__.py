"""Prisma's schema language: read, and turned into the SQL that `prisma migrate` makes of it."""

from tenantry.prisma.model import PrismaSchema, read_prisma
from tenantry.prisma.sql import prisma_sql

__all__ = ["PrismaSchema", "prisma_sql", "read_prisma"]
