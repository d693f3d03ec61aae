"""Tokens for the API: bound to one membership, shown once, kept as their SHA-256 only."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import ApiToken, Membership, Role
from marketplace.permissions import Actor, organisation_of, person_of, require_active
from marketplace.shared.errors import DomainError, Invalid, NotFound

# A prefix of its own lets scanners find a token that was published by mistake.
PREFIX: Final = "olt_"
MOST: Final = 20
LONGEST_DAYS: Final = 365


class TooManyTokens(DomainError):
    code = "too_many_tokens"
    sentence = _("You have %(limit)s tokens. Revoke one that is not used any more.")


@transaction.atomic
def create(
    name: str, *, days: int = LONGEST_DAYS, read_only: bool = False, by: Actor, at: datetime
) -> tuple[ApiToken, str]:
    """A new token for the person in their organisation, and its secret: the only time it can be read.

    It serves for `days`, LONGEST_DAYS at most; a `read_only` one changes nothing and places no bid in an auction.
    Raises Invalid (no name, too long a life), TooManyTokens, NoOrganisation, OrganisationNotActive.
    """
    organisation = organisation_of(by)
    require_active(organisation)
    membership = Membership.objects.select_for_update().get(
        person=person_of(by), organisation=organisation, active=True
    )
    if not name.strip():
        raise Invalid({"name": [_("Give the token a name that tells you what uses it.")]})
    if not 0 < days <= LONGEST_DAYS:
        raise Invalid({"days": [_("A token serves for a year at most.")]})
    if ApiToken.objects.filter(_still_serving(at), membership=membership, revoked_at=None).count() >= MOST:
        raise TooManyTokens(limit=MOST)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        membership=membership,
        name=name.strip(),
        sha256=hashlib.sha256(secret.encode()).hexdigest(),
        created_at=at,
        expires_at=at + timedelta(days=days),
        read_only=read_only,
    )
    _record("api_token_created", token, by=by, at=at)
    return token, secret


@transaction.atomic
def revoke(token_id: int, *, by: Actor, at: datetime) -> ApiToken:
    """End a token at once: one's own, or as administrator any of the organisation's."""
    organisation = organisation_of(by)
    token = (
        ApiToken.objects.select_for_update(of=("self",))
        .select_related("membership")
        .filter(pk=token_id, membership__organisation=organisation)
        .first()
    )
    if token is None or not (token.membership.person_id == person_of(by).pk or by.has(Role.ADMINISTRATOR)):
        raise NotFound
    if token.revoked_at is None:
        token.revoked_at = at
        token.save(update_fields=["revoked_at"])
        _record("api_token_revoked", token, by=by, at=at)
    return token


def _still_serving(at: datetime) -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=at)


def _record(action: str, token: ApiToken, *, by: Actor, at: datetime) -> None:
    stream = f"organisation:{token.membership.organisation_id}"
    audit.record(action, token, by=by, at=at, stream=stream, name=token.name)
