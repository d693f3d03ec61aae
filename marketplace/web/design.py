"""The gallery of components, for those who build pages: served only while DEBUG is on."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from types import SimpleNamespace

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from marketplace.shared import clock
from marketplace.shared.money import Money
from marketplace.web.parts import Action, Chart, Chip, Crumb, Fact, Moment, Reason, Stat, Tab


class SampleForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(label="Full name", help_text="As it stands in the register.")
    country = forms.ChoiceField(label="Country", choices=[("", "Choose"), ("DE", "Germany"), ("TH", "Thailand")])
    price = forms.DecimalField(label="Limit price", required=False)
    kind = forms.ChoiceField(
        label="We", choices=[("buy", "buy"), ("supply", "supply"), ("both", "do both")], widget=forms.RadioSelect
    )
    notes = forms.CharField(label="Notes", widget=forms.Textarea(attrs={"rows": 3}), required=False)
    agree = forms.BooleanField(label="We accept the rules of the marketplace")


def gallery(request: HttpRequest) -> HttpResponse:
    """Every component with sample values."""
    now = clock.now()
    payload = b'{"action":"bid.submit","lot":"L-2026-000418-1","nonce":"7f3a"}'
    if "messages" in request.GET:
        messages.success(request, "Your bid was received at 12:03:09 UTC.")
        messages.error(request, "The tender period ended at 12:00:00 UTC: this bid came 3 seconds late.")
    prices = [("Copper cable, 3×2.5 mm²", 1200, "m", "2.45"), ("Junction box IP67", 340, "pc", "")]
    context = {
        "form": SampleForm(),
        "wrong": SampleForm({"price": "abc", "kind": "buy"}),
        "crumbs": [Crumb("Procedures", "#"), Crumb("Electrical equipment", "#")],
        "state": "published",
        "until": now + timedelta(hours=4, minutes=12),
        "action": Action("Prepare a bid", "#", icon="file-plus"),
        "refused": Action(
            "Prepare a bid", "#", allowed=False,
            reason="Your tariff “Basic” does not cover auctions.", remedy_label="Compare tariffs", remedy_url="#",
        ),
        "actions": [Action("Ask a question", "#", icon="message-question")],
        "moments": [
            Moment("Published", now - timedelta(days=3), "done"),
            Moment("Questions until", now - timedelta(hours=2), "done", "4 asked, all answered"),
            Moment("Bids until", now + timedelta(hours=4), "next"),
            Moment("Live auction", now + timedelta(days=1), "later"),
            Moment("Contract signed", None, "later"),
        ],
        "states": ["draft", "published", "auction", "evaluation", "complete", "paused", "cancelled", "withdrawn"],
        "stats": [
            Stat("Bids received", "7", "2 more than usual", "#", "file-dollar"),
            Stat("Saved this year", Money(Decimal("184250.50"), "EUR"), "9.4% below limit prices", "#", "", "good"),
            Stat("Waiting for me", "3", "oldest since 2 days", "#", "hourglass", "warn"),
            Stat("Overdue deliveries", "1", "", "#", "truck", "bad"),
        ],
        "tabs": [Tab("Overview", "#", True), Tab("Lots and items", "#", count=3), Tab("Questions", "#", count=0)],
        "chips": [Chip("Open now", "#"), Chip("Category: 31 Electrical", "#")],
        "facts": [
            Fact("You do", "Submit a bid"),
            Fact("For", "Lot 1: Cables and boxes"),
            Fact("Total", Money(Decimal("94500"), "EUR")),
            Fact("VAT", "not included"),
            Fact("Organisation", "Nordkabel GmbH, VAT DE811569869"),
        ],
        "reasons": [
            Reason(True, "Your organisation is registered and accredited until 3 Mar 2027."),
            Reason(False, "Your tariff does not cover auctions.", "Compare tariffs", "#"),
        ],
        "signing": SimpleNamespace(
            nonce="7f3a",
            payload=payload,
            payload_sha256=sha256(payload).hexdigest(),
            expires_at=now + timedelta(hours=1),
        ),
        "documents": [
            SimpleNamespace(
                name="Technical specification.pdf", url="#", size=1_420_000, sha256=sha256(b"x").hexdigest(),
                uploaded_at=now, version=2, note="",
            )
        ],
        "audit": [
            SimpleNamespace(
                at=now, actor="Anna Berg, Nordkabel GmbH", action="submitted a bid", detail="Lot 1", hash="9f" * 32
            )
        ],
        "chart": Chart(
            "spend", "Spend by month",
            {
                "xAxis": {"type": "category", "data": ["Aug", "Sep", "Oct", "Nov"]},
                "yAxis": {"type": "value"},
                "series": [
                    {"type": "bar", "name": "Spend", "data": [120500, 98000, 143200, 77000]},
                    {"type": "bar", "name": "Saved", "data": [9500, 8000, 13200, 7700]},
                ],
            },
            ["Month", "Spend", "Saved"],
            [["Aug", "120,500.00", "9,500.00"], ["Sep", "98,000.00", "8,000.00"], ["Oct", "143,200.00", "13,200.00"]],
            (1, 2), "EUR", "Awarded contracts only.",
        ),
        "prices": prices,
        "money": Money(Decimal("94500"), "EUR"),
        "yen": Money(Decimal("1250000"), "JPY"),
        "now": now,
    }  # fmt: skip
    return render(request, "design.html", context)
