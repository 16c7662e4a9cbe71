"""Attacks on isolation, tried with real logins on a copy of the database."""

from tenantry.prove.attacks.harness.attempt import Application
from tenantry.prove.attacks.harness.copy import AttackCopy, NoLogin, attack_copy
from tenantry.prove.attacks.harness.model import FAMILIES, Attack, AttackResult, Family, Outcome, Verdict
from tenantry.prove.attacks.run import ATTACKS, ask_rights, run_attacks

__all__ = [
    "ATTACKS",
    "FAMILIES",
    "Application",
    "Attack",
    "AttackCopy",
    "AttackResult",
    "Family",
    "NoLogin",
    "Outcome",
    "Verdict",
    "ask_rights",
    "attack_copy",
    "run_attacks",
]
