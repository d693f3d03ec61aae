"""Drafts of tenders: made from a procedure's defaults, edited, copied, thrown away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from django.conf import settings as site
from django.db import connection, transaction
from django.utils.translation import gettext as _

from marketplace import audit
from marketplace.models import Organisation
from marketplace.permissions import Actor, person_of
from marketplace.shared.clock import time_zones
from marketplace.shared.errors import Invalid, NotFound, Sentence
from marketplace.shared.money import is_currency
from procurement import procedures
from procurement.models import Item, Lot, Tender, units
from procurement.permissions import require_tender_create, require_tender_visible
from procurement.services import words
from procurement.services.drafts import Change, lock_draft, require_current, saved, stream_of

TITLE_MAX_LENGTH = 200


class TenderFields(TypedDict, total=False):
    """What a draft's own sections hold. Dates are aware; None means counted from publication."""

    title: str
    description: str
    currency: str
    vat_included: bool
    time_zone: str
    enquiry_ends_at: datetime | None
    tender_ends_at: datetime | None


@transaction.atomic
def create(procedure: str, title: str, *, by: Actor, at: datetime) -> Tender:
    """A new draft of the buyer `by` acts for, under the newest version of the procedure, with one lot to begin with.

    Raises NotAllowed, Invalid, procedures.UnknownProcedure.
    """
    buyer = require_tender_create(by)
    preset = procedures.get(procedure)
    title = " ".join(title.split())
    if problems := _title_problems(title):
        raise Invalid({"title": problems})
    tender = _new(buyer, by=by, at=at, procedure=preset.code, procedure_version=preset.version, title=title)
    Lot.objects.create(tender=tender, number=1, title=title, currency=tender.currency)
    audit.record("tender.created", tender, by=by, at=at, stream=stream_of(tender), procedure=preset.code)
    return tender


@transaction.atomic
def update(tender_id: int, section: str, fields: TenderFields, *, revision: int, by: Actor, at: datetime) -> Tender:
    """Save fields of a draft. `section` names the form, so that two people may edit different parts at once.

    Raises NotFound, NotAllowed, NotADraft, StaleForm (saying what changed since `revision`), Invalid.
    """
    tender = lock_draft(tender_id, by=by)
    require_current(tender, revision, section)
    if problems := _problems(fields):
        raise Invalid(problems)
    before = _in_words(tender)
    for name, value in fields.items():
        setattr(tender, name, value)
    tender.save(update_fields=[*fields, "updated_at"])
    if "currency" in fields:
        tender.lots.update(currency=tender.currency)
    saved(tender, section, changes_between(before, _in_words(tender)), by=by, at=at)
    return tender


@transaction.atomic
def update_settings(
    tender_id: int, section: str, given: Mapping[str, object], *, revision: int, by: Actor, at: datetime
) -> Tender:
    """Save settings of a draft within the procedure's bounds; those not given stay. Raises as `update`."""
    tender = lock_draft(tender_id, by=by)
    require_current(tender, revision, section)
    after = {**tender.settings, **given}
    if refused := procedures.problems(tender.preset, after):
        errors: dict[str, list[Sentence]] = {}
        for problem in refused:
            errors.setdefault(problem.field, []).append(words.problem(problem))
        raise Invalid(errors)
    before = _settings_in_words(tender)
    tender.settings = after
    tender.save(update_fields=["settings", "updated_at"])
    saved(tender, section, changes_between(before, _settings_in_words(tender)), by=by, at=at)
    return tender


@transaction.atomic
def copy(tender_id: int, *, by: Actor, at: datetime) -> Tender:
    """A new draft with the lots, items and settings of a tender this person can see, but not its dates and documents.

    The copy is under the procedure's newest version; settings outside its bounds fall back to its defaults.
    """
    buyer = require_tender_create(by)
    source = Tender.objects.filter(pk=tender_id).first()
    if source is None:
        raise NotFound
    require_tender_visible(by, source)
    preset = procedures.get(source.procedure)
    known = {name: value for name, value in source.settings.items() if _fits(preset, name, value)}
    draft = _new(
        buyer,
        by=by,
        at=at,
        procedure=preset.code,
        procedure_version=preset.version,
        settings=known if not procedures.problems(preset, known) else {},
        criteria=source.criteria,
        **{name: getattr(source, name) for name in ("title", "description", "currency", "vat_included", "time_zone")},
    )
    own = by.acts_for(source.buyer_id)
    for lot in source.lots.prefetch_related("items"):
        _copy_lot(lot, draft, with_limit=own or source.limit_price_shown)
    audit.record("tender.created", draft, by=by, at=at, stream=stream_of(draft), copied_from=source.number)
    return draft


@transaction.atomic
def delete(tender_id: int, *, by: Actor, at: datetime) -> None:
    """Throw a draft away with its lots and documents. The audit trail keeps that it was there."""
    tender = lock_draft(tender_id, by=by)
    audit.record(
        "tender.deleted", tender, by=by, at=at, stream=stream_of(tender), number=tender.number, title=tender.title
    )
    tender.delete()


def changes_between(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """The differences of two tellings of one thing, in the order of the second."""
    labels = dict.fromkeys([*after, *before])
    return [
        Change(label, before.get(label, ""), after.get(label, ""))
        for label in labels
        if before.get(label, "") != after.get(label, "")
    ]


def _new(buyer: Organisation, *, by: Actor, at: datetime, **fields: Any) -> Tender:
    """The number carries the year and the row's own number; imported numbers are stepped over."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('procurement_tender', 'id'))")
            pk = cursor.fetchone()[0]
            number = f"OL-{at:%Y}-{pk:06d}"
            if not Tender.objects.filter(number=number).exists():
                break
    return Tender.objects.create(
        **{"currency": site.DEFAULT_CURRENCY, "time_zone": _zone(by), **fields},
        pk=pk,
        number=number,
        buyer=buyer,
        created_by=person_of(by),
        created_at=at,
    )


def _zone(by: Actor) -> str:
    """The person's own zone, unless they never chose one."""
    zone = person_of(by).time_zone
    return zone if zone not in ("", "UTC") and zone in time_zones() else str(site.DEFAULT_TENDER_TIME_ZONE)


def _copy_lot(lot: Lot, draft: Tender, *, with_limit: bool) -> None:
    copied = Lot.objects.create(
        tender=draft,
        limit_price=lot.limit_price if with_limit else None,
        **{
            name: getattr(lot, name)
            for name in (
                *("number", "title", "currency", "vat_rate", "delivery_place"),
                *("step_kind", "step_value", "clock_price"),
            )
        },
    )
    Item.objects.bulk_create(
        Item(
            lot=copied,
            unit=units.code_of(item.unit) or item.unit,
            **{name: getattr(item, name) for name in ("number", "description", "category_id", "quantity")},
        )
        for item in lot.items.all()
    )


def _fits(preset: procedures.Procedure, name: str, value: object) -> bool:
    return not any(problem.field == name for problem in procedures.problems(preset, {name: value}))


def _title_problems(title: str) -> list[Sentence]:
    if not title.strip():
        return [_("Give the procedure a title that says what is bought.")]
    if len(title) > TITLE_MAX_LENGTH:
        return [_("At most %(n)s characters.") % {"n": TITLE_MAX_LENGTH}]
    return []


def _problems(fields: TenderFields) -> dict[str, list[Sentence]]:
    found: dict[str, list[Sentence]] = {}
    if "title" in fields and (wrong := _title_problems(fields["title"])):
        found["title"] = wrong
    if "currency" in fields and not is_currency(fields["currency"]):
        found["currency"] = [_("This is not a currency code of ISO 4217, such as EUR.")]
    if "time_zone" in fields and fields["time_zone"] not in time_zones():
        found["time_zone"] = [_("This is not a time zone, such as Europe/Berlin.")]
    enquiry, end = fields.get("enquiry_ends_at"), fields.get("tender_ends_at")
    if enquiry and end and enquiry > end:
        found["enquiry_ends_at"] = [_("Questions cannot be taken longer than bids.")]
    return found


def _in_words(tender: Tender) -> dict[str, str]:
    return {
        _("Title"): tender.title,
        _("Description"): tender.description,
        _("Currency"): tender.currency,
        _("Prices include VAT"): words.yes_no(tender.vat_included),
        _("Time zone"): tender.time_zone,
        _("Questions until"): words.moment(tender.enquiry_ends_at, tender.time_zone),
        _("Bids until"): words.moment(tender.tender_ends_at, tender.time_zone),
    }


def _settings_in_words(tender: Tender) -> dict[str, str]:
    return {
        _(setting.label): words.setting(setting, tender.settings.get(setting.name, setting.default))
        for setting in tender.preset.settings
    }
