"""Plans: phases of steps as frozen data, and the functions that build them."""

from tenantry.catalog.environment import Environment, read_environment
from tenantry.plan.build import build_plan
from tenantry.plan.model import PHASES, ROLLBACK, SUCCESS, Phase, Plan, Step
from tenantry.plan.operations.expand import before_the_run, prerequisites, trial_prerequisites

__all__ = [
    "PHASES",
    "ROLLBACK",
    "SUCCESS",
    "Environment",
    "Phase",
    "Plan",
    "Step",
    "before_the_run",
    "build_plan",
    "prerequisites",
    "read_environment",
    "trial_prerequisites",
]
