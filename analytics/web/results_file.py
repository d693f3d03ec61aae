"""The sheets of the dashboard’s workbook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from analytics.models import Card
from analytics.queries.results import Amount, Month, Row
from analytics.rules.effect import Bin, Difference
from analytics.web import card_words
from marketplace.shared.errors import Sentence
from marketplace.web.xlsx_export import Sheet

MOST_CARDS: Final = 50_000


def figures(found: Sequence[tuple[Sentence, Amount]], currency: str) -> Sheet:
    rows = [(label, amount.amount, currency, amount.cards) for label, amount in found]
    return Sheet(_("Figures"), (_("Figure"), _("Amount"), _("Currency"), _("Cards")), rows)


def months(found: Sequence[tuple[str, Sequence[Month]]], currency: str) -> Sheet:
    head = (_("Kind"), _("Month (UTC)"), _("Cards taken on"), _("Taken on"), _("Bought"), _("Currency"))
    lines = [(kind, one.first, one.cards, one.taken, one.bought, currency) for kind, of in found for one in of]
    return Sheet(_("Month by month"), head, lines)


def rows(title: str, found: Sequence[tuple[str, Row]], currency: str) -> Sheet:
    head = (
        _("Name"),
        _("Decided on"),
        _("Accepted"),
        _("Accepted and measured"),
        _("Bought"),
        _("Amount"),
        _("Currency"),
    )
    lines = [
        (name, row.accepted.of, row.accepted.hits, row.success.of, row.success.hits, row.amount, currency)
        for name, row in found
    ]
    return Sheet(title, head, lines)


def calibration(title: str, held: Sequence[Bin], shown: Sequence[Bin]) -> Sheet:
    head = (
        _("Cards"),
        _("From"),
        _("Below"),
        _("Chance given"),
        _("Number"),
        _("Happened"),
        _("Low, 95%"),
        _("High, 95%"),
    )
    lines = [
        (name, one.low, one.high, one.promised, one.happened.of, one.happened.hits, *one.happened.interval)
        for name, bins in ((_("withheld"), held), (_("shown"), shown))
        for one in bins
    ]
    return Sheet(title, head, lines)


def effects(found: Sequence[tuple[str, Difference]]) -> Sheet:
    head = (_("Kind"), _("Shown"), _("of them bought"), _("Withheld"), _("of them bought"), _("Difference"),
            _("Low, 95%"), _("High, 95%"))  # fmt: skip
    lines = [
        (name, one.shown.of, one.shown.hits, one.withheld.of, one.withheld.hits, one.value, *one.interval)
        for name, one in found
    ]
    return Sheet(_("What acting changes"), head, lines)


def cards(found: QuerySet[Card]) -> Sheet:
    head = (
        _("Card"), _("Kind"), _("Customer number"), _("Customer"), _("What"), _("State"), _("Representative"),
        _("Chance when made"), _("Expected"), _("Currency"), _("Made from purchases up to"), _("Accepted (UTC)"),
        _("Dismissed for"), _("Bought"), _("Bought for"),
    )  # fmt: skip
    joined = found.select_related("account", "category", "item", "representative").order_by("-by_money", "pk")
    lines = (
        (
            card.pk, card.get_kind_display(), card.account.external_id, card.account.name, card_words.thing(card),
            card.get_state_display(), str(card.representative or ""), card.p_made, card.expected_amount, card.currency,
            card.cutoff, card.accepted_at, card.get_dismissed_for_display(),
            "" if card.bought is None else (_("yes") if card.bought else _("no")), card.bought_amount,
        )
        for card in joined[:MOST_CARDS].iterator(chunk_size=1000)
    )  # fmt: skip
    return Sheet(_("Cards"), head, lines)
