"""Audit records in words, for people who do not know our names of actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace.models import AuditRecord, Role
from marketplace.services.organisations import WORDS
from marketplace.shared.errors import Sentence

_ACTIONS: Final[Mapping[str, Sentence]] = {
    "organisation_draft_opened": _("began the registration"),
    "organisation_changed": _("changed the organisation’s details"),
    "organisation_registered": _("signed the registration"),
    "member_roles_changed": _("changed roles"),
    "membership_ended": _("ended a membership"),
    "invitation_sent": _("sent an invitation"),
    "invitation_sent_again": _("sent an invitation again"),
    "invitation_withdrawn": _("withdrew an invitation"),
    "invitation_accepted": _("accepted an invitation"),
    "api_token_created": _("made an API token"),
    "api_token_revoked": _("revoked an API token"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of components/_audit.html."""

    at: datetime
    actor: str
    action: str
    detail: str
    hash: str


def line(record: AuditRecord) -> Line:
    """The record in words; an action that has none is shown by its name."""
    return Line(
        record.at,
        str(record.person) if record.person else gettext("The platform"),
        str(_ACTIONS.get(record.action, record.action.replace("_", " "))),
        _detail(record.action, record.details),
        record.hash,
    )


def _detail(action: str, details: Mapping[str, Any]) -> str:
    if action == "organisation_changed":
        return "; ".join(_change(name, *details["values"][name]) for name in details.get("changed", []))
    if action == "member_roles_changed":
        return f"{details['member']}: {_roles(details['before'])} → {_roles(details['after'])}"
    who = details.get("member") or details.get("email") or details.get("name") or ""
    return f"{who}: {_roles(details['roles'])}" if details.get("roles") else str(who)


def _change(name: str, before: Any, after: Any) -> str:
    return f"{WORDS.get(name, name)}: {_plain(before)} → {_plain(after)}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items()) or "—"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    return str(value) or "—"


def _roles(roles: list[str]) -> str:
    return ", ".join(str(Role(role).label) if role in Role.values else role for role in roles)
