"""The situations that a user can be in, and the decision for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Situation:
    """A situation that a user is in, and what is done about it.

    Attributes:
        fate: linked, made, or left without an account.
        does: what an administrator has to do, if anything.
    """

    name: str
    fate: str
    title: str
    does: str = ""


SITUATIONS: tuple[Situation, ...] = (
    Situation("system", "left", "is not a person, according to the manifest"),
    Situation("deleted", "left", "is deleted in the old application"),
    Situation("linked_by_column", "linked", "linked to the account that the old row names"),
    Situation("linked_by_file", "linked", "linked to the account that the file names"),
    Situation("linked_by_email", "linked", "linked to the account that has confirmed this e-mail address"),
    Situation("linked_by_id", "linked", "linked to the account with the same id and the same e-mail address"),
    Situation("linked_banned", "linked", "linked to an account that is banned, and stays so",
              "Lift the ban if it is not intended."),
    Situation("account_banned", "left", "has an account that is banned", "Decide whether the ban still holds."),
    Situation("account_taken", "left", "names an account that belongs to another person", "Find out whose account it is."),
    Situation("account_deleted", "left", "has an account that is deleted, and holds the e-mail address",
              "Restore the account, or free its address."),
    Situation("account_unconfirmed", "left", "has an account that has not confirmed its e-mail address",
              "Nothing: it is linked as soon as the address is confirmed. Remind the person."),
    Situation("id_taken", "left", "has an old id that is the id of another person's account", "Find out whose account it is."),
    Situation("email_missing", "left", "has no e-mail address", "Find the address, or leave the person without an account."),
    Situation("email_invalid", "left", "has an invalid e-mail address", "Correct the address."),
    Situation("email_shared", "left", "has the e-mail address of another user, who got the account",
              "Give one of them another address, or merge them in the manifest."),
    Situation("created_with_password", "made", "an account was created, with the old password"),
    Situation("created", "made", "an account was created, without a password", "Ask the person to reset the password."),
    Situation("created_banned", "made", "an account was created and banned, because the user is deleted"),
    Situation("to_invite", "made", "an account was created; an invitation must be sent", "Send the invitation."),
    Situation("left", "left", "is linked when signing up and confirming the e-mail address"),
    Situation("left_without_password", "left", "has a password that cannot be kept; is linked when signing up",
              "Tell the person to sign up again."),
)  # fmt: skip
"""All situations; the first that applies decides."""


def situation(name: str) -> Situation:
    return next(each for each in SITUATIONS if each.name == name)
