"""Editing a draft: the lock, the check that nobody changed the same thing meanwhile, and the record of what changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import AuditRecord
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError, NotFound, Sentence, StaleForm
from procurement.models import Lot, Tender
from procurement.permissions import require_able_to_act, require_tender_run
from procurement.rules.lifecycle import TenderStatus

EDITED = "tender.edited"


class NotADraft(DomainError):
    code = "not_a_draft"
    sentence = gettext_lazy("This procedure is published. What is public changes by a signed amendment only.")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed, in words; `before` is empty for what is new, `after` for what went."""

    label: str
    before: str
    after: str

    @property
    def sentence(self) -> str:
        if not self.before:
            return _("%(label)s: now “%(after)s”.") % {"label": self.label, "after": self.after}
        if not self.after:
            return _("%(label)s: “%(before)s” was removed.") % {"label": self.label, "before": self.before}
        return _("%(label)s: “%(before)s” became “%(after)s”.") % {
            "label": self.label,
            "before": self.before,
            "after": self.after,
        }

    def as_json(self) -> dict[str, str]:
        return {"field": self.label, "before": self.before, "after": self.after}

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> Change:
        return cls(str(stored["field"]), str(stored["before"]), str(stored["after"]))


def lock_tender(tender_id: int) -> Tender:
    """The tender's row under lock, with its buyer. Raises NotFound."""
    tender = Tender.objects.select_for_update(of=("self",)).select_related("buyer").filter(pk=tender_id).first()
    if tender is None:
        raise NotFound
    return tender


def lock_draft(tender_id: int, *, by: Actor) -> Tender:
    """The draft under lock, for a person who may edit it. Raises NotFound, NotAllowed or NotADraft."""
    tender = lock_tender(tender_id)
    require_tender_run(by, tender)
    require_able_to_act(by)
    if tender.status != TenderStatus.DRAFT:
        raise NotADraft
    return tender


def lock_lot(tender: Tender, lot_id: int) -> Lot:
    """A lot of the locked tender. Raises StaleForm: the form was opened when the lot was still there."""
    lot = tender.lots.select_for_update().filter(pk=lot_id).first()
    if lot is None:
        raise StaleForm([_("This lot has been removed from the procedure.")])
    return lot


def require_current(tender: Tender, revision: int, section: str) -> None:
    """Nobody saved this section after the form's `revision`; other sections may have changed. Raises StaleForm."""
    if changes := changes_since(tender, revision, section):
        raise StaleForm(changes)


def changes_since(tender: Tender, revision: int, section: str) -> list[Sentence]:
    """What was saved in the section after `revision`, as sentences with who saved it."""
    if tender.revision <= revision:
        return []
    entries = AuditRecord.objects.filter(
        stream=stream_of(tender), action=EDITED, details__section=section, details__revision__gt=revision
    ).select_related("person")
    return [
        f"{entry.person}: {Change.of_json(change).sentence}" for entry in entries for change in entry.details["changes"]
    ]


def saved(tender: Tender, section: str, changes: Iterable[Change], *, by: Actor, at: datetime) -> None:
    """Count the save and record what changed; where nothing did, nothing is counted. The caller saves its own rows."""
    found = [change.as_json() for change in changes]
    if not found:
        return
    tender.revision += 1
    tender.save(update_fields=["revision", "updated_at"])
    audit.record(
        EDITED, tender, by=by, at=at, stream=stream_of(tender), section=section, revision=tender.revision, changes=found
    )


def stream_of(tender: Tender) -> str:
    """The audit stream of a tender and its parts."""
    return f"tender:{tender.pk}"
