"""Sealed means sealed: before the opening no person, no page, no call and no copy of the data tells a price.

The prices below appear nowhere else, so a single occurrence is a leak. They are looked for as decimal, as grouped and
as bare digits, in every column of every table, every stored file, every log line and every answer of the site.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from rest_framework.test import APIClient

from marketplace.models import Role, StaffRole
from marketplace.permissions import Actor
from procurement.models import Bid, Lot, Tender
from procurement.queries import awards, bids
from procurement.services import bid_documents, bid_drafts, opening
from tests.factories import bidder_program as program
from tests.factories.bids import CLOSES, LATER, bidder, drafted_bid, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, accredited_buyer, accredited_supplier, member, staff
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db

UNIT_PRICES = ["73125.91", "48611.37"]
# Ten of each: 731,259.10 and 486,113.70; together 1,217,372.80.
DIGITS = ("7312591", "4861137", "73125910", "48611370", "121737280", "12173728")
WORDS = ("Discreet remark", "offer-73125.txt", "in the file: 73125.91")
ITEMS = 2


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, however small."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "factory")
    return caplog


@pytest.fixture(params=["platform", "committee"])
def sealed(request: pytest.FixtureRequest, freeze: Callable[..., Any]) -> Bid:
    """A sent bid with changes that are not sent, seen a second before the deadline. Where the committee holds the key
    the bidder seals by itself and sends nothing else."""
    trust()
    freeze(NOON)
    lot = tender_taking_bids(items=ITEMS, title="Turbines").lots.get()
    lot.limit_price = None
    lot.save()
    by = bidder()
    if request.param == "committee":
        bid = _sealed_outside(lot, by)
        freeze(CLOSES - timedelta(seconds=1))
        return bid
    files = {"offer-73125.txt": b"in the file: 73125.91"}
    bid = sent_bid(lot, UNIT_PRICES, by=by, remarks="Discreet remark", files=files)
    bid.refresh_from_db()
    bid_drafts.save(bid.pk, prices={}, remarks="Discreet remark, later", revision=bid.revision, by=by, at=NOON)
    draft = drafted_bid(lot, UNIT_PRICES, remarks="Discreet remark")
    bid_documents.add(
        draft.pk, ContentFile(b"in the file: 73125.91", name="offer-73125.txt"), by=member(draft.supplier), at=NOON
    )
    freeze(CLOSES - timedelta(seconds=1))
    return bid


def _sealed_outside(lot: Lot, by: Actor) -> Bid:
    Tender.objects.update(key_custody="committee")
    lot = Lot.objects.select_related("tender").get(pk=lot.pk)
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_drafts.start(lot.pk, by=by, at=NOON).pk)
    plain = b"in the file: 73125.91"
    document = program.send_document(bid, plain, by=by, about=None)
    content = program.content_of(
        bid, UNIT_PRICES, ["731259.10", "486113.70"], "1217372.80", remarks="Discreet remark",
        files={document: ("offer-73125.txt", plain)},
    )  # fmt: skip
    program.send(bid, program.sealed_content(bid, content), [document.pk], by=by)
    bid_drafts.start(lot.pk, by=bidder(), at=NOON)
    return bid


def leaks(content: bytes | str) -> list[str]:
    """What of the bid can be read in the content."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    found = [word for word in WORDS if word in text]
    bare = re.sub(r"(?<=\d)[\s.,'’\u00a0\u202f](?=\d)", "", text)
    return found + [digits for digits in DIGITS if digits in bare]


# The data ---------------------------------------------------------------------------------------------------------


def test_no_column_of_any_table_holds_it(sealed: Bid) -> None:
    looked_at = 0
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            # As a dump writes it: bytea in hex, JSON and arrays as text, row by row.
            cursor.execute(f'SELECT row::text, to_jsonb(row)::text FROM "{table}" AS row')
            for forms in cursor:
                for form in forms:
                    looked_at += 1
                    assert leaks(_with_bytes(form)) == [], f"{table}: {form[:200]}"
    assert looked_at > 100


def _with_bytes(dumped: str) -> str:
    """The dumped row, and behind it what its hexadecimal and base64 columns spell."""
    spelled = [bytes.fromhex(found) for found in re.findall(r"\\x([0-9a-f]{2,})", dumped) if len(found) % 2 == 0]
    for found in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", dumped):
        try:
            spelled.append(base64.b64decode(found, validate=True))
        except ValueError:
            continue
    return dumped + "\n".join(part.decode("utf-8", "replace") for part in spelled)


def test_no_stored_file_holds_it(sealed: Bid) -> None:
    paths = [path for path in (Path(settings.MEDIA_ROOT) / "bids").rglob("*") if path.is_file()]

    assert [path for path in paths if path.parent.name == str(sealed.pk)] != []
    for path in paths:
        assert leaks(path.read_bytes()) == [], path
        assert leaks(path.name) == [], path


def test_no_log_line_holds_it(logged: pytest.LogCaptureFixture, sealed: Bid) -> None:
    looked_at = len(list(_visit_everything(sealed, [member(sealed.supplier)])))

    assert looked_at > 100
    assert logged.records != []
    assert leaks("\n".join(record.getMessage() for record in logged.records)) == []


def test_the_lots_key_lies_wrapped(sealed: Bid) -> None:
    lot = Lot.objects.get()

    assert lot.wrapped_private_key is not None
    assert len(bytes(lot.wrapped_private_key)) > 32 + 16


# People -----------------------------------------------------------------------------------------------------------


def _watchers(sealed: Bid) -> Iterator[tuple[str, Actor]]:
    yield "the buyer", member(sealed.lot.tender.buyer)
    yield "another buyer", member(accredited_buyer())
    yield "a rival with a bid", member(Bid.objects.exclude(pk=sealed.pk).get().supplier)
    yield "a supplier", member(accredited_supplier())
    yield "a colleague without the role", member(sealed.supplier, Role.EVALUATOR)
    # What one role sees and another does not, they see whoever holds the key.
    one_by_one = bid_drafts.kept_here(sealed.lot.tender)
    for roles in [(role,) for role in StaffRole] if one_by_one else [tuple(StaffRole)]:
        yield f"staff: {', '.join(roles)}", staff(*roles)


def test_no_page_and_no_call_tells_it_to_anybody_else(sealed: Bid) -> None:
    rival = Bid.objects.exclude(pk=sealed.pk).get()
    rival.draft = None
    rival.save()
    for who, actor in _watchers(sealed):
        for url, answer in _visit_everything(sealed, [actor]):
            assert leaks(answer) == [], f"{who} at {url}"


def test_visitors_are_told_nothing(sealed: Bid) -> None:
    client = Client()
    for url in _addresses(sealed):
        assert leaks(_body(client.get(url))) == [], url


def test_its_own_people_read_it_where_a_draft_is_kept_and_nobody_where_none_is(sealed: Bid) -> None:
    kept = bid_drafts.kept_here(sealed.lot.tender)
    told = [url for url, answer in _visit_everything(sealed, [member(sealed.supplier)]) if leaks(answer)]

    assert (reverse("bid", args=[sealed.pk]) in told) == kept
    assert kept or told == []


def _visit_everything(sealed: Bid, actors: list[Actor]) -> Iterator[tuple[str, bytes]]:
    for actor in actors:
        pages, api = _signed_in(actor), APIClient()
        api.force_login(actor.person)  # type: ignore[arg-type]
        for url in _addresses(sealed):
            client: Any = api if url.startswith("/api/") else pages
            yield url, _body(client.get(url))
        for session_key in (pages.session.session_key,):
            yield "session", repr(dict(pages.session.items())).encode() + str(session_key).encode()


def _signed_in(actor: Actor) -> Client:
    client = Client(raise_request_exception=False)
    assert actor.person is not None
    client.force_login(actor.person)
    return client


def _body(response: Any) -> bytes:
    headers = "\n".join(f"{name}: {value}" for name, value in response.items()).encode()
    return headers + (b"".join(response.streaming_content) if response.streaming else response.content)


def _addresses(sealed: Bid) -> list[str]:
    """Every address of the site that takes no argument, or arguments that this bid and its tender have."""
    tender = sealed.lot.tender
    known: dict[str, Any] = {
        "number": tender.number,
        "lot": sealed.lot.number,
        "bid_id": sealed.pk,
        "file_id": sealed.files.get().pk,
        "version": 1,
        "kind": "received",
        "lot_id": sealed.lot_id,
    }
    found = []
    for name, wanted in _routes(get_resolver()):
        # Some need more than their own part of the address shows: those are not about a bid.
        with contextlib.suppress(NoReverseMatch):
            found.append(reverse(name, kwargs={argument: known[argument] for argument in wanted if argument in known}))
    assert reverse("bid", args=[sealed.pk]) in found
    assert "/api/v1/bids/" in found
    return sorted(set(found))


def _routes(resolver: URLResolver) -> Iterator[tuple[str, list[str]]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern)
        elif isinstance(pattern, URLPattern) and pattern.name and "logout" not in pattern.name:
            yield pattern.name, list(pattern.pattern.regex.groupindex)


# Queries ----------------------------------------------------------------------------------------------------------


def test_queries_return_nothing_before_the_deadline_and_the_bid_after_it(sealed: Bid) -> None:
    before = CLOSES - timedelta(microseconds=1)
    # Whoever holds the key, nothing is told before; how a committee's key comes here is tested with the custody.
    Tender.objects.update(key_custody="platform")
    tender = Tender.objects.get()

    assert list(bids.opened(before)) == []
    assert awards.comparison(sealed.lot, before).columns == ()
    opening.open_tender(tender.pk, LATER)
    assert [bid.pk for bid in bids.opened(LATER)] == [sealed.pk]
    assert len(awards.comparison(sealed.lot, LATER).columns) == 1
    assert awards.comparison(sealed.lot, before).columns == ()


def test_the_test_itself_finds_a_leak() -> None:
    assert leaks("total 1 217 372.80 EUR") == ["121737280", "12173728"]
    assert leaks(_with_bytes("(1,\\x" + b"73125.91".hex() + ")")) == ["7312591"]
    assert leaks("harmless 42") == []
