"""Invoices: gapless numbers, exact amounts, the ledger. Called by services.tariffs inside its transactions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import Invoice, InvoiceStatus, LedgerEntry, Plan, Subscription
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError, Invalid
from marketplace.shared.money import Money

PAY_WITHIN: Final = timedelta(days=14)
REFERENCE_MAX_LENGTH: Final = 80


class InvoiceCancelled(DomainError):
    code = "invoice_cancelled"
    sentence = _("Invoice %(number)s was cancelled: a payment for it cannot be confirmed.")


class InvoicePaid(DomainError):
    code = "invoice_already_paid"
    sentence = _("Invoice %(number)s was paid already, with the reference “%(reference)s”.")


@dataclass(frozen=True, slots=True)
class Amounts:
    """`total` is exactly `net` + `vat`."""

    net: Money
    vat: Money
    total: Money


def amounts(plan: Plan) -> Amounts:
    """The plan's price; its VAT, rounded half up to the currency's minor unit; and both together."""
    net = Money(plan.price, plan.currency).rounded()
    vat = (net * (plan.vat_rate / Decimal(100))).rounded()
    return Amounts(net, vat, net + vat)


def issue(subscription: Subscription, *, by: Actor, at: datetime) -> Invoice:
    """The invoice for a subscription, with the next number of its year (UTC), payable within 14 days."""
    charged = amounts(subscription.plan)
    invoice = Invoice.objects.create(
        number=_next_number(at),
        organisation=subscription.organisation,
        subscription=subscription,
        net=charged.net.amount,
        vat=charged.vat.amount,
        total=charged.total.amount,
        currency=charged.total.currency,
        issued_at=at,
        due_at=at + PAY_WITHIN,
    )
    _enter(invoice, "invoice", -invoice.total, at)
    _record("invoice_issued", invoice, by=by, at=at, total=str(charged.total), plan=subscription.plan.name)
    return invoice


def mark_paid(invoice: Invoice, reference: str, paid_at: datetime, *, by: Actor, at: datetime) -> bool:
    """Note the payment of a locked invoice; False where the same payment was noted before.

    Raises InvoicePaid for another reference, InvoiceCancelled, Invalid for an empty reference or an impossible day.
    """
    reference = reference.strip()
    if invoice.status == InvoiceStatus.PAID:
        if invoice.payment_reference == reference:
            return False
        raise InvoicePaid(number=invoice.number, reference=invoice.payment_reference)
    if invoice.status == InvoiceStatus.CANCELLED:
        raise InvoiceCancelled(number=invoice.number)
    if not reference or len(reference) > REFERENCE_MAX_LENGTH:
        raise Invalid({"reference": [_("Give the payment’s reference as the bank shows it, at most 80 characters.")]})
    if not invoice.issued_at.date() <= paid_at.date() <= at.date():
        raise Invalid({"paid_on": [_("Choose a day from the day of the invoice to today.")]})
    invoice.status, invoice.paid_at, invoice.payment_reference = InvoiceStatus.PAID, paid_at, reference
    invoice.confirmed_by = by.person
    invoice.save(update_fields=["status", "paid_at", "payment_reference", "confirmed_by"])
    _enter(invoice, "payment", invoice.total, at)
    _record("payment_confirmed", invoice, by=by, at=at, reference=reference, paid_at=paid_at.isoformat())
    return True


def cancel(invoice: Invoice, *, by: Actor, at: datetime) -> None:
    """Cancel a locked invoice that was not paid; its number stays taken. Raises InvoicePaid."""
    if invoice.status == InvoiceStatus.PAID:
        raise InvoicePaid(number=invoice.number, reference=invoice.payment_reference)
    if invoice.status == InvoiceStatus.CANCELLED:
        return
    invoice.status = InvoiceStatus.CANCELLED
    invoice.save(update_fields=["status"])
    _enter(invoice, "cancellation", invoice.total, at)
    _record("invoice_cancelled", invoice, by=by, at=at)


def _next_number(at: datetime) -> str:
    """Gapless: the lock is held until the transaction ends, and a number rolled back is given again."""
    prefix = f"INV-{at.year}-"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"invoices:{at.year}"])
    last = (
        Invoice.objects.filter(number__startswith=prefix).order_by("-number").values_list("number", flat=True).first()
    )
    return f"{prefix}{int(last.removeprefix(prefix)) + 1 if last else 1:07d}"


def _enter(invoice: Invoice, kind: str, amount: Decimal, at: datetime) -> None:
    LedgerEntry.objects.create(
        organisation_id=invoice.organisation_id,
        invoice=invoice,
        at=at,
        kind=kind,
        amount=amount,
        currency=invoice.currency,
    )


def _record(action: str, invoice: Invoice, *, by: Actor, at: datetime, **details: str) -> None:
    stream = f"organisation:{invoice.organisation_id}"
    audit.record(action, invoice, by=by, at=at, stream=stream, number=invoice.number, **details)
