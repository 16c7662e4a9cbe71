"""Executors of steps: one for each kind that a run executes."""

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
"""Kind → executor. Cutover and contract are separate commands: `migrate.switch`."""

__all__ = ["EXECUTORS", "Execution", "Executor", "Task"]
