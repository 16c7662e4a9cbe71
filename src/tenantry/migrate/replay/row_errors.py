"""Errors that a single row can cause, in every direction; a round does not handle any others."""

from __future__ import annotations

from psycopg import errors as pg

ROW_ERRORS = (
    pg.DataError,  # class 22
    pg.IntegrityError,  # class 23, exclusion constraints among them
    pg.NotSupportedError,  # class 0A: numeric NaN and infinity to an integer
    pg.CardinalityViolation,  # class 21: a sub-select of a check or of an expression
    pg.TriggeredDataChangeViolation,  # class 27
    pg.ExternalRoutineException,  # classes 38 and 39: errors of functions in checks and generated columns
    pg.ExternalRoutineInvocationException,
    pg.WithCheckOptionViolation,  # class 44
    # Class 54: documents that are too deep (54001), values that are too large for a row, a text or an index.
    pg.ProgramLimitExceeded,
    pg.StatementTooComplex,
    pg.TooManyColumns,
    pg.TooManyArguments,
    # Class P0.
    pg.PlpgsqlError,
    pg.RaiseException,
    pg.NoDataFound,
    pg.TooManyRows,
    pg.AssertFailure,
    pg.InternalError_,  # XX000: more memory than a value may have
)

__all__ = ["ROW_ERRORS"]
