"""Reading organisations: as their own people see them, as the public does, and the headings they choose from."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from marketplace import identifiers
from marketplace.models import (
    ApiToken,
    AuditRecord,
    Certificate,
    Heading,
    Invitation,
    Membership,
    Organisation,
    OrganisationIdentifier,
    OrganisationStatus,
)


def detailed() -> QuerySet[Organisation]:
    """With everything a page about one organisation shows."""
    return Organisation.objects.prefetch_related(
        "identifiers", "addresses", "headings_offered", "headings_consumed", "accreditations"
    )


def public() -> QuerySet[Organisation]:
    """Those the public may see: registered ones, and suspended ones as such; never drafts."""
    return detailed().exclude(status=OrganisationStatus.DRAFT)


def listed(*, text: str = "", side: str = "", country: str = "") -> QuerySet[Organisation]:
    """The public list: by a part of the name or a number, by side, by country."""
    found = Organisation.objects.exclude(status=OrganisationStatus.DRAFT).prefetch_related("identifiers")
    if text:
        found = found.filter(pk__in=_named(text).union(_numbered(text), all=True))
    if side in ("buyer", "supplier"):
        found = found.filter(**{f"is_{side}": True})
    if country:
        found = found.filter(country=country)
    return found


def _named(text: str) -> QuerySet[Organisation, tuple[int]]:
    return Organisation.objects.filter(Q(short_name__icontains=text) | Q(full_name__icontains=text)).values_list("pk")


def _numbered(text: str) -> QuerySet[OrganisationIdentifier, tuple[int]]:
    return OrganisationIdentifier.objects.filter(value=identifiers.clean(text)).values_list("organisation_id")


def members(organisation_id: int) -> QuerySet[Membership]:
    """Active members, the earliest first."""
    return (
        Membership.objects.filter(organisation_id=organisation_id, active=True).select_related("person").order_by("pk")
    )


def former_members(organisation_id: int) -> QuerySet[Membership]:
    return (
        Membership.objects.filter(organisation_id=organisation_id, active=False)
        .select_related("person")
        .order_by("-pk")
    )


def open_invitations(organisation_id: int) -> QuerySet[Invitation]:
    """Neither accepted nor withdrawn; those that expired stand among them, so that they can be sent again."""
    return Invitation.objects.filter(organisation_id=organisation_id, accepted_at=None, revoked_at=None).select_related(
        "invited_by"
    )


def certificates(organisation_id: int) -> QuerySet[Certificate]:
    """Certificates that have signed for the organisation, those valid longest first."""
    return Certificate.objects.filter(organisation_id=organisation_id).select_related("person").defer("der")


def tokens(organisation_id: int) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(membership__organisation_id=organisation_id, revoked_at=None).select_related(
        "membership__person"
    )


def history(organisation_id: int) -> QuerySet[AuditRecord]:
    """What was recorded about the organisation itself, its people and its access."""
    return AuditRecord.objects.filter(stream=f"organisation:{organisation_id}").select_related("person")


@dataclass(frozen=True, slots=True)
class Branch:
    """A division and the headings below it, with their depth (1, 2, …) for the page to indent."""

    division: Heading
    headings: list[tuple[int, Heading]]


def heading_tree(text: str = "") -> list[Branch]:
    """Headings by division; with `text` only those whose name or code holds it, with their divisions."""
    headings = {heading.pk: heading for heading in Heading.objects.all()}
    words = text.casefold().split()
    branches: dict[int, Branch] = {}
    for heading in headings.values():
        above = _above(heading, headings)
        top = above[-1] if above else heading
        branch = branches.setdefault(top.pk, Branch(top, []))
        if above and _matches(heading, words):
            branch.headings.append((len(above), heading))
    return [branch for branch in branches.values() if branch.headings or _matches(branch.division, words)]


def _above(heading: Heading, headings: dict[int, Heading]) -> list[Heading]:
    """Its ancestors, the nearest first."""
    found: list[Heading] = []
    while heading.parent_id is not None:
        heading = headings[heading.parent_id]
        found.append(heading)
    return found


def _matches(heading: Heading, words: list[str]) -> bool:
    said = f"{heading.code} {heading.name}".casefold()
    return all(word in said for word in words)
