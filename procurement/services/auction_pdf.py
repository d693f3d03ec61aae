"""The protocol of a live auction as PDF: the words are ours, typesetting is Typst's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import typst
from django.conf import settings
from django.utils.translation import get_language, get_language_bidi, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from marketplace.shared.errors import Sentence
from procurement.rules.auction.base import AuctionKind, ExtendFrom, Reference
from procurement.rules.auction.log import EventKind
from procurement.rules.auction.views import Shown
from procurement.rules.ranking import Direction
from procurement.services import words

TEMPLATE: Final = Path(settings.BASE_DIR) / "templates" / "procurement" / "auction_protocol.typ"
#: An auction of more events is printed up to here; the document as JSON has them all.
MOST_EVENTS: Final = 5_000
EVENT_WORDS: Final[Mapping[EventKind, Sentence]] = {
    EventKind.SCHEDULED: gettext_lazy("Scheduled"),
    EventKind.STARTED: gettext_lazy("Started"),
    EventKind.PAUSED: gettext_lazy("Paused"),
    EventKind.RESUMED: gettext_lazy("Resumed"),
    EventKind.RETIMED: gettext_lazy("Put off"),
    EventKind.ENDED: gettext_lazy("Ended"),
    EventKind.CANCELLED: gettext_lazy("Cancelled"),
    EventKind.BID: gettext_lazy("Bid"),
    EventKind.ACCEPT: gettext_lazy("Price accepted"),
    EventKind.CONFIRM: gettext_lazy("Price confirmed"),
    EventKind.WITHDRAW: gettext_lazy("Bid withdrawn"),
    EventKind.LIMIT: gettext_lazy("Limit for automatic bids"),
    EventKind.LIMIT_DROPPED: gettext_lazy("Limit dropped: its bidder could bid no more"),
    EventKind.AUTOMATIC_BIDS: gettext_lazy("Automatic bids"),
    EventKind.TICK: gettext_lazy("The price moved"),
    EventKind.PAUSE: gettext_lazy("Pause before a round"),
    EventKind.TURN: gettext_lazy("Turn"),
    EventKind.PUBLISHED: gettext_lazy("Turn over, bid published"),
    EventKind.ANNOUNCEMENT: gettext_lazy("Announcement"),
}
_KINDS: Final[Mapping[AuctionKind, Sentence]] = {
    AuctionKind.ENGLISH: gettext_lazy("English: bids improve until the end"),
    AuctionKind.DUTCH: gettext_lazy("Dutch: the price moves until somebody accepts it"),
    AuctionKind.JAPANESE: gettext_lazy("Japanese: the price moves, and who does not confirm it is out"),
    AuctionKind.SEALED_FIRST_PRICE: gettext_lazy("Sealed: the best bid wins at its price"),
    AuctionKind.SEALED_SECOND_PRICE: gettext_lazy("Sealed: the best bid wins at the second-best price"),
    AuctionKind.TURN_BASED: gettext_lazy("Turn-based: three rounds, one bidder after the other"),
}
_DIRECTIONS: Final[Mapping[Direction, Sentence]] = {
    Direction.DOWN: gettext_lazy("the lowest price wins"),
    Direction.UP: gettext_lazy("the highest price wins"),
}
_REFERENCES: Final[Mapping[Reference, Sentence]] = {
    Reference.LEADER: gettext_lazy("the leader’s price"),
    Reference.OWN: gettext_lazy("the bidder’s own last price"),
}
_SHOWN: Final[Mapping[Shown, Sentence]] = {
    Shown.PRICE: gettext_lazy("the best price"),
    Shown.RANK: gettext_lazy("their own rank"),
    Shown.BOTH: gettext_lazy("the best price and their own rank"),
}


def in_words(kind: str) -> Sentence:
    """What an event is called on pages and in protocols."""
    return EVENT_WORDS[EventKind(kind)]


def of(document: Mapping[str, Any]) -> bytes:
    """The document of an auction (services.auction_protocol) as PDF/A, in the language of the reader."""
    data = json.dumps(_content(document), ensure_ascii=False)
    try:
        return _typeset(data, pdf_standards=["a-2b"])
    except typst.TypstError:
        # PDF/A wants a glyph for every letter, and this machine has no font for some script.
        return _typeset(data)


def _typeset(data: str, **options: Any) -> bytes:
    found = typst.compile(TEMPLATE.read_bytes(), format="pdf", sys_inputs={"data": data}, **options)
    if not isinstance(found, bytes):
        raise TypeError("one document was asked for")
    return found


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    tender, lot, came_out = document["tender"], document["lot"], document["result"]
    zone = ZoneInfo(tender["time_zone"])
    labels = {row["bidder"]: row["label"] for row in document["bidders"]}
    currency = came_out["currency"]
    price = words.price(Decimal(came_out["price"]), currency) if came_out["price"] else "—"
    winner = _bidder(came_out["winner"]) if came_out["winner"] else _("nobody")
    facts = [
        (_("Buyer"), tender["buyer"]["name"]),
        (_("Procedure"), f"{tender['number']} · {tender['title']}"),
        (_("Began"), _both(came_out["started_at"], zone)),
        (_("Ended"), _both(came_out["ended_at"], zone)),
        (_("Extensions"), str(came_out["extensions"])),
        (_("Winner"), f"{winner}, {price}"),
    ]
    return {
        "title": _("Protocol of the auction"),
        "subtitle": _("%(number)s, lot %(lot)s: %(title)s")
        % {"number": tender["number"], "lot": lot["number"], "title": lot["title"]},
        "lang": (get_language() or "en").split("-")[0],
        "right_to_left": get_language_bidi(),
        "footer": f"{settings.SITE_NAME} · {tender['number']} · {came_out['head'][:16]}",
        "facts": facts,
        "sections": [
            _ranking(came_out),
            _bidders(document["bidders"], came_out["currency"]),
            *_pauses(came_out["pauses"]),
            _terms(document["terms"], zone),
            _events(document["events"], labels, zone, currency),
            _proof(document),
        ],
    }


def _section(
    title: str,
    *,
    note: str = "",
    facts: Iterable[tuple[str, str]] = (),
    heads: Sequence[str] = (),
    rows: Iterable[Sequence[str]] = (),
    widths: Sequence[str] = (),
    figures: Sequence[int] = (),
    mono: Sequence[int] = (),
) -> dict[str, Any]:
    return {
        "title": title, "note": note, "facts": list(facts), "heads": heads, "rows": list(rows),
        "widths": widths or ["auto"] * len(heads), "figures": figures, "mono": mono,
    }  # fmt: skip


def _ranking(came_out: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        (
            str(line["rank"]),
            _bidder(line["label"]),
            _amount(line, came_out["currency"]),
            _utc(line["received_at"]),
        )
        for line in came_out["ranking"]
    ]
    heads = [_("Rank"), _("Bidder"), came_out["currency"], _("Received (UTC)")]
    return _section(_("Ranking"), heads=heads, rows=rows, widths=["auto", "1fr", "auto", "auto"], figures=[0, 2])


def _amount(line: Mapping[str, Any], currency: str) -> str:
    amount = _figure(line["amount"], currency)
    if "counts_as" not in line:
        return amount
    told: str = _("%(amount)s, counts as %(counts_as)s") % {
        "amount": amount, "counts_as": _figure(line["counts_as"], currency),
    }  # fmt: skip
    return told


def _figure(amount: str | None, currency: str) -> str:
    return words.figure(Decimal(amount), currency) if amount else "—"


def _bidders(bidders: Sequence[Mapping[str, Any]], currency: str) -> dict[str, Any]:
    named = bool(bidders) and bidders[0]["name"] is not None
    rows = [
        (_bidder(row["label"]), row["name"] or "—", _figure(row["amount"], currency), _utc(row["received_at"]))
        for row in bidders
    ]
    notes = [] if named else [str(_("Names are told once the lot is awarded."))]
    if any("formula" in row for row in bidders):
        notes.append(_("Ranks, limits and steps go by what a price counts as: %(formulas)s.") % {
            "formulas": "; ".join(_formula(row) for row in bidders)
        })  # fmt: skip
    return _section(
        _("Bidders and their first bids"),
        note=" ".join(notes),
        heads=[_("Bidder"), _("Name"), currency, _("Received (UTC)")],
        rows=rows, widths=["auto", "1fr", "auto", "auto"], figures=[2],
    )  # fmt: skip


def _formula(row: Mapping[str, Any]) -> str:
    """“Bidder 2: price × 7/8 + 0”: exact, as the log has it."""
    formula = row.get("formula", {"factor": "1", "addend": "0"})
    told: str = _("price × %(factor)s + %(addend)s") % formula
    return f"{_bidder(row['label'])}: {told}"


def _pauses(pauses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not pauses:
        return []
    heads = [_("Paused (UTC)"), _("By"), _("Given back, s"), _("Reason")]
    rows = [
        (
            _utc(pause["paused_at"]),
            _("the platform itself") if pause["by_the_platform_itself"] else _("an operator"),
            str(pause["given_back_s"] if pause["given_back_s"] is not None else "—"),
            pause["reason"],
        )
        for pause in pauses
    ]
    return [_section(_("Pauses"), heads=heads, rows=rows, widths=["auto", "auto", "auto", "1fr"], figures=[2])]


def _terms(terms: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """As they were fixed and hashed before the first bid."""
    rules, currency = terms["rules"], terms["currency"]
    kind = AuctionKind(rules["kind"])
    rows = [
        (_("Kind"), f"{_KINDS[kind]}; {_DIRECTIONS[Direction(rules['direction'])]}"),
        (_("Planned start"), _both(terms["starts_at"], zone)),
        (_("Planned end"), _both(terms["ends_at"], zone)),
    ]
    if terms["hard_stop_at"]:
        rows.append((_("Never later than"), _both(terms["hard_stop_at"], zone)))
    if terms["start_price"]:
        selling = Direction(rules["direction"]) is Direction.UP
        name = _("Reserve price") if selling else _("Limit price")
        rows.append((name, words.price(Decimal(terms["start_price"]), currency)))
    rows.append((_("Step"), words.price(Decimal(rules["step"]), currency)))
    if kind is AuctionKind.ENGLISH:
        rows.append((_("A bid must beat, by the step"), str(_REFERENCES[Reference(rules["reference"])])))
        rows.append((_("An end that moves"), _soft_close(rules["soft_close"])))
    rows.append((_("Bidders see"), str(_SHOWN[Shown(rules["shown"])])))
    if clock := rules.get("clock"):
        prices = {name: words.figure(Decimal(clock[name]), currency) for name in ("start", "tick", "last")}
        told = _("from %(start)s by %(tick)s every %(interval)s s to %(last)s")
        rows.append((_("The price moves"), told % {**prices, "interval": clock["interval_s"]} + f" {currency}"))
    note = _(
        "As they were fixed when the auction was scheduled, in its first event. The document as JSON has them all."
    )
    return _section(_("Terms"), note=note, facts=rows)


def _soft_close(soft: Mapping[str, Any]) -> str:
    window, extend, most = soft["window_s"], soft["extend_s"], soft["max_extensions"]
    if not window or not extend or most == 0:
        return _("no")
    if ExtendFrom(soft["from"]) is ExtendFrom.RECEIPT:
        # The end never comes earlier: a bid moves it where it leaves less time than it gives.
        window = min(window, extend)
        told = _("a bid with %(window)s s or less to go moves the end: it is then %(extend)s s after the bid")
    else:
        told = _("a bid with %(window)s s or less to go moves the end by %(extend)s s")
    found: str = told % {"window": window, "extend": extend}
    if most is not None:
        found += ", " + ngettext("at most once", "at most %(n)s times", most) % {"n": most}
    return found


def _events(
    entries: Sequence[Mapping[str, Any]], labels: Mapping[str, str], zone: ZoneInfo, currency: str
) -> dict[str, Any]:
    shown = entries[:MOST_EVENTS]
    rows, end = [], None
    for entry in shown:
        content = entry["content"]
        now = content["detail"].get("ends_at", end)
        lines = [str(in_words(content["kind"])), *_brought(content, labels, currency)]
        if end not in (None, now):
            lines.append(_("end: %(time)s UTC") % {"time": _utc(now)[11:19]})
        end = now
        who = _bidder(labels[content["bidder"]]) if content["bidder"] else ""
        price = content["amount"] or content["detail"].get("price")
        amount = words.figure(Decimal(price), currency) if price else ""
        rows.append(
            (str(content["number"]), _utc(content["at"]), _local(content["at"], zone), "\n".join(lines), who, amount,
             entry["hash"][:16])
        )  # fmt: skip
    note = ""
    if len(entries) > len(shown):
        note = _("The first %(n)s of %(all)s events; the document as JSON has them all.") % {
            "n": len(shown), "all": len(entries),
        }  # fmt: skip
    heads = [_("No."), _("Time (UTC)"), f"{zone.key}", _("What"), _("Bidder"), _("Amount"), _("Hash")]
    widths = ["auto", "auto", "auto", "1fr", "auto", "auto", "auto"]
    return _section(
        _("Every event"), note=note, heads=heads, rows=rows, widths=widths, figures=[0, 5], mono=[1, 2, 6]
    )  # fmt: skip


def _brought(content: Mapping[str, Any], labels: Mapping[str, str], currency: str) -> Iterator[str]:
    """Who bid what, and who is out, by what time brought about; a bid that is published stands in its own columns."""
    detail = content["detail"]
    if content["bidder"] is None:
        for bid in detail.get("bids", ()):
            yield f"{_bidder(labels[bid['bidder']])}: {_figure(bid['amount'], currency)}"
    for bidder in detail.get("out", ()):
        yield _("%(bidder)s is out") % {"bidder": _bidder(labels[bidder])}


def _proof(document: Mapping[str, Any]) -> dict[str, Any]:
    statement = document["statement"]
    facts = [
        (_("Head of the chain"), document["result"]["head"]),
        (_("SHA-256 of the document"), statement["content"]["document_sha256"]),
        (_("Signed by receipt key"), statement["key"]),
        (_("Signature (Ed25519)"), statement["signature"]),
    ]
    note = _(
        "This print is for reading. What proves the auction is the document as JSON, which everybody who took part can "
        "download beside it: it has every event in full. Save it as auction.json and run “python -m "
        "procurement.rules.auction.document auction.json” from Openlot’s source on a computer of your own: every hash "
        "is recomputed and every bid decided again by the rules."
    )
    return _section(_("How to check it"), note=note, facts=facts)


def _bidder(label: str) -> str:
    return _("Bidder %(label)s") % {"label": label}


def _utc(at: str) -> str:
    return at.replace("T", " ").removesuffix("Z")


def _local(at: str, zone: ZoneInfo) -> str:
    found = datetime.fromisoformat(at).astimezone(zone)
    return f"{found:%Y-%m-%d %H:%M:%S.%f} {found.isoformat()[-6:]}"


def _both(at: str, zone: ZoneInfo) -> str:
    return f"{_utc(at)} UTC ({_local(at, zone)} {zone.key})"
