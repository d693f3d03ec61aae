"""API tokens: shown once, revocable, ended with the membership."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from marketplace.models import ApiToken, AuditRecord, OrganisationStatus, Role
from marketplace.permissions import Actor, NoOrganisation, OrganisationNotActive
from marketplace.services import tokens
from marketplace.shared.errors import Invalid, NotFound
from tests.factories.marketplace import NOON, OrganisationFactory, PersonFactory, member

pytestmark = pytest.mark.django_db


def test_the_secret_is_shown_once_and_kept_as_its_hash() -> None:
    token, secret = tokens.create(" ERP ", by=member(OrganisationFactory.create()), at=NOON)
    assert secret.startswith("olt_")
    assert token.name == "ERP"
    assert token.sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(list(AuditRecord.objects.values()) + list(ApiToken.objects.values()))


def test_a_token_needs_a_name() -> None:
    with pytest.raises(Invalid):
        tokens.create(" ", by=member(OrganisationFactory.create()), at=NOON)


def test_a_token_needs_a_registered_organisation() -> None:
    with pytest.raises(NoOrganisation):
        tokens.create("ERP", by=Actor(PersonFactory.create()), at=NOON)
    draft = OrganisationFactory.create(status=OrganisationStatus.DRAFT)
    with pytest.raises(OrganisationNotActive):
        tokens.create("ERP", by=member(draft), at=NOON)


def test_there_are_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST", 1)
    actor = member(OrganisationFactory.create())
    first, _secret = tokens.create("one", by=actor, at=NOON)
    with pytest.raises(tokens.TooManyTokens):
        tokens.create("two", by=actor, at=NOON)
    tokens.revoke(first.pk, by=actor, at=NOON)
    tokens.create("two", by=actor, at=NOON)


def test_an_administrator_revokes_a_colleagues_token_and_others_do_not() -> None:
    acme = OrganisationFactory.create()
    token, _secret = tokens.create("ERP", by=member(acme, Role.BID_MANAGER), at=NOON)
    for stranger in (member(acme, Role.BID_MANAGER), member(OrganisationFactory.create())):
        with pytest.raises(NotFound):
            tokens.revoke(token.pk, by=stranger, at=NOON)
    assert tokens.revoke(token.pk, by=member(acme, Role.ADMINISTRATOR), at=NOON).revoked_at == NOON


def test_a_token_serves_for_a_year_at_most_and_an_expired_one_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST", 1)
    actor = member(OrganisationFactory.create())
    for days in (0, 366):
        with pytest.raises(Invalid):
            tokens.create("ERP", days=days, by=actor, at=NOON)
    token, _secret = tokens.create("ERP", days=30, by=actor, at=NOON)
    assert token.expires_at == NOON + timedelta(days=30)
    with pytest.raises(tokens.TooManyTokens):
        tokens.create("another", by=actor, at=NOON + timedelta(days=29))
    tokens.create("another", by=actor, at=NOON + timedelta(days=30))
