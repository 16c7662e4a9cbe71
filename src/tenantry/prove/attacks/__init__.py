"""Attacks on isolation, tried with real logins on a copy of the database."""

from tenantry.prove.attacks.harness.attempt import Application
from tenantry.prove.attacks.harness.copy import AttackCopy, NoLogin, attack_copy
from tenantry.prove.attacks.harness.model import FAMILIES, Attack, AttackResult, AttackVerdict, Family, Outcome
from tenantry.prove.attacks.harness.world import AttackedDatabase
from tenantry.prove.attacks.run import ATTACKS, ask_rights, run_attacks

__all__ = [
    "ATTACKS",
    "FAMILIES",
    "Application",
    "Attack",
    "AttackCopy",
    "AttackResult",
    "AttackVerdict",
    "AttackedDatabase",
    "Family",
    "NoLogin",
    "Outcome",
    "ask_rights",
    "attack_copy",
    "run_attacks",
]
