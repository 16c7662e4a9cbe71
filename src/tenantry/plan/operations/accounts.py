"""Steps that link users to accounts in auth.users and create the accounts that are missing.

One statement decides for every user, in the order of `situations`: who is linked to an existing account, who gets a new one, who
gets none, and why. The decision is stored in tenantry.account_link, where the copy, the replay and the report read it.
"""

from __future__ import annotations

from tenantry.accounts.decide import WHOLE_TABLES, link_file_statements, link_statement, profile_mapping, refusals
from tenantry.accounts.make import account_statements
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.plan.model import Step

_AUTH_LOCK = "ROW EXCLUSIVE on auth.users: users can still sign in"


# -- deciding ----------------------------------------------------------------------------------------------------------


def link_accounts(project: Project, after: str) -> list[Step]:
    """Decide before the copy which account each user gets."""
    mapping, users = profile_mapping(project), project.manifest.users
    if mapping is None or users is None:
        return []
    return [
        Step(
            id="copy.link_accounts",
            does="decides for each user which account is theirs; only with `[users]`",
            phase="copy",
            kind="sql",
            title="Decide for every user: link an existing account, create one, or leave the user without one",
            sql=(
                *link_file_statements(project),
                WHOLE_TABLES,
                link_statement(project),
                f"analyze {JOURNAL}.account_link",
                *refusals(users),
            ),
            undo=(f"delete from {JOURNAL}.account_link", f"delete from {JOURNAL}.account_file"),
            lock="ACCESS SHARE on auth.users",
            risk="low",
            risk_note="Only e-mails that the account's owner has confirmed count.",
            seconds=0.05,
            after=(after,),
            rerun="rest",
        )
    ]


# -- the file ----------------------------------------------------------------------------------------------------------


# -- making ------------------------------------------------------------------------------------------------------------


def make_accounts(project: Project, last: dict[str, str]) -> list[Step]:
    """Create the accounts that were decided on, after the profiles."""
    mapping, users = profile_mapping(project), project.manifest.users
    if mapping is None or users is None:
        return []
    return [
        Step(
            id="copy.accounts",
            does="creates accounts for users who have none; only with `[users]`",
            phase="copy",
            kind="sql",
            title="Create an account in auth.users for every person who gets one",
            sql=account_statements(project),
            undo=(
                f"delete from auth.users u using {JOURNAL}.account_made a where a.account_id = u.id",
                f"delete from {JOURNAL}.account_made",
                "update auth.users u set raw_app_meta_data = case\n"
                "         when l.before is null and u.raw_app_meta_data = '{\"super_admin\": true}' then null\n"
                "         when l.before ? 'super_admin' then u.raw_app_meta_data"
                " || jsonb_build_object('super_admin', l.before -> 'super_admin')\n"
                "         else u.raw_app_meta_data - 'super_admin' end\n"
                f"  from {JOURNAL}.account_link l where l.account_id = u.id and l.flagged",
            ),
            lock=_AUTH_LOCK,
            risk="medium",
            risk_note="People whose password cannot be kept must reset it or be invited before they can sign in.",
            seconds=0.05,
            after=(last[mapping.target.name],),
            table=mapping.target.name,
            rerun="rest",
        )
    ]


__all__ = ["link_accounts", "make_accounts"]
