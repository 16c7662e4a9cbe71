"""Carrying out steps: one executor for each kind that a run carries out by itself."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.migrate.run.executors.base import Execution, Executor, Task
from tenantry.migrate.run.executors.capture import CaptureExecution
from tenantry.migrate.run.executors.check import CheckExecution
from tenantry.migrate.run.executors.copy import CopyExecution
from tenantry.migrate.run.executors.replay import ReplayExecution
from tenantry.migrate.run.executors.sql import SqlExecution
from tenantry.migrate.run.executors.verify import VerifyExecution
from tenantry.plan.model import Kind

EXECUTORS: Mapping[Kind, Executor] = {
    "sql": SqlExecution,
    "capture": CaptureExecution,
    "copy": CopyExecution,
    "replay": ReplayExecution,
    "verify": VerifyExecution,
    "check": CheckExecution,
}
"""By kind. The cut-over and the contract are commands of their own: `migrate.switch`."""

__all__ = ["EXECUTORS", "Execution", "Executor", "Task"]
