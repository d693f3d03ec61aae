"""Every action that is signed: what its signature binds, and that it is good for nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile

from marketplace import signed_actions
from marketplace.models import AddressKind, Notification, Organisation, QueuedSignature, Side, Signature, SigningRequest
from marketplace.permissions import Actor, actor_for
from marketplace.services import accreditations, organisations, registration, signature_queue, signing, throttle
from marketplace.services.organisations import AddressDetails, Requisites
from marketplace.services.registration import AlreadyRegistered
from marketplace.services.signing import AlreadySigned, SignatureRefused, SignatureWaits
from marketplace.services.signing_words import ACTIONS
from marketplace.shared.errors import DomainError, NotAllowed, NotFound
from marketplace.signatures import Sub
from marketplace.signatures import payload as payloads
from marketplace.signatures.payload import sha256_hex
from procurement.models import Award, Bid, Contract, Lot, ProtocolKind, ProtocolSignature, Tender
from procurement.services import (
    amendments,
    awards,
    bid_documents,
    bid_drafts,
    bids,
    cancellation,
    contracts,
    opening,
    protocols,
    unopenable,
)
from procurement.services.amendment_values import NewDocument, Proposal
from tests.factories import bidder_program as program
from tests.factories.bids import LATER, bidder, contracted, drafted_bid, opened_lot, send, sent_bid, tender_taking_bids
from tests.factories.committee import Committee, held_tender
from tests.factories.marketplace import (
    NOON,
    HeadingFactory,
    OrganisationFactory,
    PersonFactory,
    accredited_supplier,
    member,
)
from tests.factories.signatures import authority, bring_lists, lose_lists, signed, trust

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
REASON = "The chairs are not needed any more."


@dataclass(frozen=True)
class Errand:
    """One signed action on one object, ready to be prepared.

    `state` is what the action changes; `outdate` makes a newer version of the object; `elsewhere` is the same action of
    the same person on another object; `content` is what the payload must say besides.
    """

    by: Actor
    object: tuple[str, int]
    prepare: Callable[[], SigningRequest]
    complete: Callable[[SigningRequest, bytes, Actor, datetime], object]
    state: Callable[[], object]
    outdate: Callable[[], object]
    elsewhere: Callable[[], SigningRequest]
    at: datetime = NOON
    content: dict[str, Any] = field(default_factory=dict)
    hashes: tuple[str, ...] = ()


def registering() -> Errand:
    def draft(number: str, name: str, person: Any) -> tuple[Organisation, Actor]:
        requisites = Requisites(
            country="DE", legal_form="GmbH", full_name=f"{name} GmbH", short_name=name, email="office@acme.example",
            is_supplier=True, identifiers={"VAT": number},
        )  # fmt: skip
        new = registration.open_draft(requisites, by=Actor(person), at=NOON)
        by = actor_for(person, new)
        legal = AddressDetails("DE", "Berlin", "Unter den Linden 1", postal_code="10117")
        new = organisations.save_addresses(new.pk, {AddressKind.LEGAL: legal}, version=new.version, by=by, at=NOON)
        heading = HeadingFactory.create().pk
        return organisations.save_headings(
            new.pk, offered=[heading], consumed=[], version=new.version, by=by, at=NOON
        ), by

    organisation, by = draft("DE136695976", "Acme", PersonFactory.create())
    other, _other_by = draft("DE811569869", "Other", PersonFactory.create())

    def outdate() -> None:
        legal = AddressDetails("DE", "Rostock", "Lange Straße 1", postal_code="18055")
        organisations.save_addresses(
            organisation.pk,
            {AddressKind.LEGAL: legal},
            version=Organisation.objects.get(pk=organisation.pk).version,
            by=by,
            at=NOON,
        )

    def complete(request: SigningRequest, cms: bytes, actor: Actor, at: datetime) -> object:
        return registration.complete(organisation.pk, request, cms, by=actor, at=at)

    return Errand(
        by=by,
        object=("organisation", organisation.pk),
        prepare=lambda: registration.prepare(organisation.pk, by=by, at=NOON),
        complete=complete,
        state=lambda: Organisation.objects.values_list("status", "registered_at").get(pk=organisation.pk),
        outdate=outdate,
        elsewhere=lambda: registration.prepare(other.pk, by=_other_by, at=NOON),
        content={"full_name": "Acme GmbH", "supplies": True},
    )


def accrediting() -> Errand:
    organisation = OrganisationFactory.create(is_supplier=True, is_buyer=True)
    by = member(organisation)

    def complete_request(side: Side) -> Any:
        accreditation = accreditations.open_request(side, by=by, at=NOON)
        for kind in ("register", "authority"):
            accreditations.add_document(
                accreditation.pk, kind=kind, title="", upload=ContentFile(PDF, name=f"{kind}.pdf"), by=by, at=NOON
            )
        accreditation.refresh_from_db()
        return accreditation

    own, other = complete_request(Side.SUPPLIER), complete_request(Side.BUYER)

    def state() -> object:
        own.refresh_from_db()
        return own.status, own.signature_id, own.submitted_at

    return Errand(
        by=by,
        object=("accreditation", own.pk),
        prepare=lambda: accreditations.prepare(own.pk, by=by, at=NOON),
        complete=lambda request, cms, actor, at: accreditations.submit(own.pk, request, cms, by=actor, at=at),
        state=state,
        outdate=lambda: accreditations.add_document(
            own.pk, kind="tax", title="", upload=ContentFile(PDF, name="tax.pdf"), by=by, at=NOON
        ),
        elsewhere=lambda: accreditations.prepare(other.pk, by=by, at=NOON),
        hashes=(sha256_hex(PDF),),
    )


def sending() -> Errand:
    tender = tender_taking_bids(lots=2)
    first, second = tender.lots.order_by("number")
    by = bidder()
    own, other = (drafted_bid(lot, ["10.00", "20.00"], by=by) for lot in (first, second))
    bid_documents.add(own.pk, ContentFile(PDF, name="offer.pdf"), by=by, at=NOON)
    own.refresh_from_db()

    def state() -> object:
        found = Bid.objects.get(pk=own.pk)
        return found.status, found.version, found.envelopes.count()

    def outdate() -> None:
        found = Bid.objects.get(pk=own.pk)
        prices = dict.fromkeys((item.pk for item in first.items.all()), "9.00")
        bid_drafts.save(own.pk, prices=prices, remarks="", revision=found.revision, by=by, at=NOON)
        send(Bid.objects.get(pk=own.pk), by=by)

    assert tender.tender_ends_at is not None
    return Errand(
        by=by,
        object=("bid", own.pk),
        prepare=lambda: bids.prepare_submission(own.pk, by=by, at=NOON),
        complete=lambda request, cms, actor, at: bids.submit(
            request.pk, cms, idempotency_key=f"{request.pk}-{at}", by=actor, at=at
        ),
        state=state,
        outdate=outdate,
        elsewhere=lambda: bids.prepare_submission(other.pk, by=by, at=NOON),
        content={"lot": 1, "bid_version": 1, "deadline": f"{tender.tender_ends_at:%Y-%m-%dT%H:%M:%S}.000000Z"},
        hashes=tuple(own.files.values_list("sealed_sha256", flat=True)),
    )


def withdrawing() -> Errand:
    tender = tender_taking_bids(lots=2)
    first, second = tender.lots.order_by("number")
    by = bidder()
    own, other = (sent_bid(lot, ["10.00", "20.00"], by=by) for lot in (first, second))

    def state() -> object:
        found = Bid.objects.get(pk=own.pk)
        return found.status, found.withdrawn_at, found.version

    def outdate() -> None:
        found = Bid.objects.get(pk=own.pk)
        prices = dict.fromkeys((item.pk for item in first.items.all()), "9.00")
        bid_drafts.save(own.pk, prices=prices, remarks="", revision=found.revision, by=by, at=NOON)
        send(Bid.objects.get(pk=own.pk), by=by)

    return Errand(
        by=by,
        object=("bid", own.pk),
        prepare=lambda: bids.prepare_withdrawal(own.pk, by=by, at=NOON),
        complete=lambda request, cms, actor, at: bids.withdraw(
            request.pk, cms, idempotency_key=f"{request.pk}-{at}", by=actor, at=at
        ),
        state=state,
        outdate=outdate,
        elsewhere=lambda: bids.prepare_withdrawal(other.pk, by=by, at=NOON),
        content={"lot": 1, "bid_version": 1},
        hashes=(own.envelopes.get().manifest["content"]["sha256"],),
    )


def awarding() -> Errand:
    lot = opened_lot(["10.00", "20.00"], ["11.00", "21.00"])
    other = opened_lot(["10.00", "20.00"], buyer=lot.tender.buyer)
    by = member(lot.tender.buyer)
    best, second = Bid.objects.filter(lot=lot).order_by("rank")

    def of(lot: Lot, bid: Bid) -> SigningRequest:
        return awards.propose(lot.pk, bid.pk, "The only delivery in time.", by=by, at=LATER)

    return Errand(
        by=by,
        object=("award", 0),
        prepare=lambda: of(lot, best),
        complete=lambda request, cms, actor, at: awards.decide(
            request.pk, cms, idempotency_key=f"{request.pk}-{at}", by=actor, at=at
        ),
        state=lambda: sorted(Award.objects.filter(lot=lot).values_list("status", "signature")),
        outdate=lambda: of(lot, second),
        elsewhere=lambda: of(other, Bid.objects.get(lot=other)),
        at=LATER,
        content={"winner_identifiers": signing.identifiers_of(best.supplier), "amount": "300.00"},
    )


def contracting() -> Errand:
    own = contracted(opened_lot(["10.00", "20.00"]))
    by = member(own.buyer)
    other = contracted(opened_lot(["10.00", "20.00"], buyer=own.buyer))

    def state() -> object:
        found = Contract.objects.get(pk=own.pk)
        return found.status, found.signatures.count()

    return Errand(
        by=by,
        object=("contract", own.pk),
        prepare=lambda: contracts.prepare_signature(own.pk, by=by, at=LATER),
        complete=lambda request, cms, actor, at: contracts.sign(
            request.pk, cms, idempotency_key=f"{request.pk}-{at}", by=actor, at=at
        ),
        state=state,
        outdate=lambda: contracts.edit(own.pk, own.text + "\nMore.", own.version, by=by, at=LATER),
        elsewhere=lambda: contracts.prepare_signature(other.pk, by=by, at=LATER),
        at=LATER,
        content={"contract": own.number, "supplier_identifiers": signing.identifiers_of(own.supplier)},
        hashes=(sha256_hex(own.text.encode()),),
    )


def amended(tender: Tender, by: Actor) -> object:
    proposal = Proposal(REASON, fields={"title": "Chairs and desks"})
    request = amendments.prepare(tender.pk, proposal, by=by, at=NOON)
    return amendments.sign(request.pk, signed(request), by=by, at=NOON)


def amending() -> Errand:
    own = tender_taking_bids()
    by = member(own.buyer)
    other = tender_taking_bids(buyer=own.buyer)
    document = NewDocument(ContentFile(PDF, name="specification.pdf"))

    def of(tender: Tender) -> SigningRequest:
        return amendments.prepare(tender.pk, Proposal(REASON, documents=(document,)), by=by, at=NOON)

    return Errand(
        by=by,
        object=("tender", own.pk),
        prepare=lambda: of(own),
        complete=lambda request, cms, actor, at: amendments.sign(request.pk, cms, by=actor, at=at),
        state=lambda: (own.documents.count(), own.amendments.filter(reason=REASON, version=own.version + 1).count()),
        outdate=lambda: amended(own, by),
        elsewhere=lambda: of(other),
        content={"reason": REASON, "tender": own.number},
        hashes=(sha256_hex(PDF),),
    )


def cancelling() -> Errand:
    own = tender_taking_bids(lots=2)
    by = member(own.buyer)
    other = tender_taking_bids(buyer=own.buyer)

    def state() -> object:
        found = Tender.objects.get(pk=own.pk)
        return found.status, list(found.lots.order_by("pk").values_list("status", flat=True))

    return Errand(
        by=by,
        object=("tender", own.pk),
        prepare=lambda: cancellation.prepare(own.pk, None, REASON, by=by, at=NOON),
        complete=lambda request, cms, actor, at: cancellation.sign(request.pk, cms, by=actor, at=at),
        state=state,
        outdate=lambda: amended(own, by),
        elsewhere=lambda: cancellation.prepare(other.pk, None, REASON, by=by, at=NOON),
        content={"reason": REASON, "tender": own.number, "whole_tender": True},
    )


def giving_up() -> Errand:
    def waiting(**fields: Any) -> Committee:
        held = held_tender(**fields)
        for supplier in (bidder(), bidder()):
            bid = Bid.objects.select_related("lot__tender").get(
                pk=bid_drafts.start(held.tender.lots.get().pk, by=supplier, at=NOON).pk
            )
            content = program.content_of(bid, ["20", "30"], ["200.00", "300.00"], "500.00")
            program.send(bid, program.sealed_content(bid, content), by=supplier)
        opening.open_tender(held.tender.pk, LATER)
        return held

    held = waiting()
    own, by, later = held.tender, held.officer, LATER + timedelta(days=1)
    other = waiting(buyer=own.buyer).tender

    def outdate() -> None:
        Tender.objects.filter(pk=own.pk).update(version=own.version + 1)

    return Errand(
        by=by,
        object=("tender", own.pk),
        prepare=lambda: unopenable.prepare(own.pk, REASON, by=by, at=later),
        complete=lambda request, cms, actor, at: unopenable.declare(request.pk, cms, by=actor, at=at),
        state=lambda: Tender.objects.get(pk=own.pk).status,
        outdate=outdate,
        elsewhere=lambda: unopenable.prepare(other.pk, REASON, by=by, at=later),
        at=later,
        content={"reason": REASON, "tender": own.number, "shares_needed": 2, "shares_released": 0},
    )


def protocol_of(kind: ProtocolKind) -> Errand:
    lot = opened_lot(["10.00", "20.00"], ["11.00", "21.00"])
    other = opened_lot(["12.00", "20.00"], buyer=lot.tender.buyer)
    by = member(lot.tender.buyer)
    tender, best = lot.tender, Bid.objects.get(lot=lot, rank=1)

    def outdate() -> None:
        Tender.objects.filter(pk=tender.pk).update(version=tender.version + 1)

    return Errand(
        by=by,
        object=("protocol", tender.pk),
        prepare=lambda: protocols.prepare(tender.pk, kind, by=by, at=LATER),
        complete=lambda request, cms, actor, at: protocols.sign(request.pk, cms, by=actor, at=at),
        state=lambda: ProtocolSignature.objects.filter(tender=tender, kind=kind).count(),
        outdate=outdate,
        elsewhere=lambda: protocols.prepare(other.tender_id, kind, by=by, at=LATER),
        at=LATER,
        content={"tender": tender.number},
        hashes=(*signing.identifiers_of(best.supplier), "300.00")
        + ((best.envelopes.get().manifest["content"]["sha256"],) if kind == ProtocolKind.OPENING else ()),
    )


def signing_the_opening() -> Errand:
    return protocol_of(ProtocolKind.OPENING)


def signing_the_evaluation() -> Errand:
    return protocol_of(ProtocolKind.EVALUATION)


ERRANDS: dict[str, Callable[[], Errand]] = {
    "registration": registering,
    "accreditation": accrediting,
    "bid.submit": sending,
    "bid.withdraw": withdrawing,
    "opening": signing_the_opening,
    "evaluation": signing_the_evaluation,
    "award": awarding,
    "contract": contracting,
    "amendment": amending,
    "cancellation": cancelling,
    "keys.lost": giving_up,
}


@pytest.fixture(autouse=True)
def _nobody_is_slowed_down() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(scope="module", params=ERRANDS)
def action(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def errand(action: str, shared_world: Callable[[], AbstractContextManager[None]]) -> Iterator[Errand]:
    """Made once an action: a contract takes a second to come to, and each test leaves it as it was."""
    with shared_world():
        trust()
        yield ERRANDS[action]()


def refused_and_untouched(errand: Errand, request: SigningRequest, cms: bytes, *, by: Actor | None = None,
                          at: datetime | None = None) -> DomainError:  # fmt: skip
    """What the service raises; nothing has changed by it."""
    before, signatures = errand.state(), Signature.objects.count()
    with pytest.raises(DomainError) as refused:
        errand.complete(request, cms, by or errand.by, at or errand.at)
    assert (errand.state(), Signature.objects.count()) == (before, signatures)
    return refused.value


def test_every_action_that_people_sign_is_tried_here() -> None:
    assert set(ERRANDS) == set(ACTIONS)


def test_the_payload_names_all_that_the_signature_binds(errand: Errand, action: str) -> None:
    request = errand.prepare()
    said = payloads.parse(bytes(request.payload))
    assert errand.by.organisation is not None
    kind, pk = errand.object
    assert said["action"] == action
    assert said["organisation"]["identifiers"] == signing.identifiers_of(errand.by.organisation)
    assert said["object"] == {
        "type": kind, "id": request.object_id if kind == "award" else str(pk), "version": request.object_version,
    }  # fmt: skip
    assert said["nonce"] == request.nonce
    assert said["prepared_at"] < said["sign_before"] == f"{request.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    assert errand.content.items() <= said["content"].items()
    assert [one for one in errand.hashes if f'"{one}"' not in bytes(request.payload).decode()] == []


def test_the_signature_does_what_it_says(errand: Errand) -> None:
    before = errand.state()
    request = errand.prepare()
    errand.complete(request, signed(request), errand.by, errand.at)
    request.refresh_from_db()
    assert errand.state() != before
    assert request.used_at == errand.at


def test_sent_twice_it_counts_once(errand: Errand) -> None:
    request = errand.prepare()
    cms = signed(request)
    errand.complete(request, cms, errand.by, errand.at)
    after, signatures = errand.state(), Signature.objects.count()
    with contextlib.suppress(AlreadySigned, AlreadyRegistered):  # or the answer is what was made the first time
        errand.complete(SigningRequest.objects.get(pk=request.pk), cms, errand.by, errand.at)
    assert (errand.state(), Signature.objects.count()) == (after, signatures)


def test_what_cannot_be_judged_yet_is_done_when_it_can(errand: Errand, action: str) -> None:
    request, before = errand.prepare(), errand.state()
    cms = signed(request)
    arguments = {"idempotency_key": "one"} if "idempotency_key" in _arguments(action) else {}
    lose_lists()
    if action == "registration":  # nobody could be told yet: it is sent again
        assert signed_actions.find(action) is None
        assert isinstance(refused_and_untouched(errand, request, cms), SignatureWaits)
        return

    row = signature_queue.take(request, cms, by=errand.by, at=errand.at, **arguments)
    assert isinstance(row, QueuedSignature)
    assert (errand.state(), Signature.objects.filter(request=request).count()) == (before, 0)
    later = errand.at + timedelta(minutes=10)
    bring_lists(later)
    signature_queue.judge(row.pk, at=later)

    row.refresh_from_db()
    assert (row.state, row.code) == ("passed", "")
    assert errand.state() != before
    assert row.signature == Signature.objects.get(request=request, received_at=errand.at)
    assert Notification.objects.filter(kind="signature_passed", person=errand.by.person).count() == 1
    known = signed_actions.find(action)
    assert known is not None
    assert str(known.about(row.request))
    assert known.url(row.request).startswith("/")


def test_what_is_outdated_does_not_begin_to_wait(errand: Errand, action: str) -> None:
    request = errand.prepare()
    cms = signed(request)
    errand.outdate()
    lose_lists()
    if action != "registration":
        arguments = {"idempotency_key": "one"} if "idempotency_key" in _arguments(action) else {}
        with pytest.raises(DomainError) as refused:
            signature_queue.take(request, cms, by=errand.by, at=errand.at, **arguments)
        assert not isinstance(refused.value, SignatureWaits)
    assert QueuedSignature.objects.count() == 0


def _arguments(action: str) -> frozenset[str]:
    known = signed_actions.find(action)
    return known.arguments if known else frozenset()


def test_the_signature_of_another_object_is_refused(errand: Errand) -> None:
    elsewhere = errand.elsewhere()
    refused = refused_and_untouched(errand, errand.prepare(), signed(elsewhere))
    assert isinstance(refused, SignatureRefused)
    assert refused.report.sub_indication == Sub.HASH_FAILURE


def test_the_signature_of_an_earlier_preparation_is_refused(errand: Errand) -> None:
    earlier = errand.prepare()
    refused = refused_and_untouched(errand, errand.prepare(), signed(earlier))
    assert isinstance(refused, SignatureRefused)
    assert refused.report.sub_indication == Sub.HASH_FAILURE


def test_what_was_prepared_for_an_older_version_is_refused(errand: Errand) -> None:
    request = errand.prepare()
    cms = signed(request)
    errand.outdate()
    refused_and_untouched(errand, request, cms)


def test_another_organisations_certificate_is_refused(errand: Errand) -> None:
    stranger = authority().issue(
        person="A Signer", organisation="Südwand GmbH", identifiers=["VATDE-136695970"], at=NOON - timedelta(days=10)
    )
    request = errand.prepare()
    refused = refused_and_untouched(errand, request, signed(request, stranger))
    assert isinstance(refused, SignatureRefused)
    assert refused.report.sub_indication == Sub.SIG_CONSTRAINTS_FAILURE


def test_another_organisation_cannot_use_it(errand: Errand) -> None:
    request = errand.prepare()
    refused = refused_and_untouched(errand, request, signed(request), by=member(accredited_supplier()))
    assert isinstance(refused, NotFound | NotAllowed)


def test_a_colleague_cannot_use_it(errand: Errand) -> None:
    """It was prepared for one person, who read it."""
    assert errand.by.organisation is not None
    request = errand.prepare()
    refused = refused_and_untouched(errand, request, signed(request), by=member(errand.by.organisation))
    assert isinstance(refused, NotFound | NotAllowed)


def test_at_its_deadline_it_is_too_late(errand: Errand) -> None:
    request = errand.prepare()
    refused_and_untouched(errand, request, signed(request), at=request.expires_at)


@pytest.mark.parametrize("other", ["bid.submit", "bid.withdraw", "award", "amendment", "registration", "another"])
def test_the_signature_of_another_action_is_refused(errand: Errand, action: str, other: str) -> None:
    """Of the same person, on the same object in the same version, and passing by itself."""
    if other == action:
        return
    own = errand.prepare()
    request = signing.prepare(
        action=other, actor=errand.by, object_type=own.object_type, object_id=own.object_id,
        object_version=own.object_version, content={}, at=errand.at, expires_at=errand.at + timedelta(minutes=30),
    )  # fmt: skip
    refused_and_untouched(errand, request, signed(request))


@pytest.mark.parametrize("kind", ["organisation", "accreditation", "bid", "award", "contract", "tender"])
def test_the_signature_of_the_same_action_on_another_kind_of_object_is_refused(errand: Errand, kind: str) -> None:
    own = errand.prepare()
    if kind == own.object_type:
        return
    request = signing.prepare(
        action=own.action, actor=errand.by, object_type=kind, object_id=own.object_id,
        object_version=own.object_version, content={}, at=errand.at, expires_at=errand.at + timedelta(minutes=30),
    )  # fmt: skip
    refused_and_untouched(errand, request, signed(request))


def test_who_fails_again_and_again_is_slowed_down_and_a_good_signature_gets_in(errand: Errand) -> None:
    request = errand.prepare()
    for _ in range(throttle.FAILED_SIGNATURES.count):
        throttle.count(throttle.FAILED_SIGNATURES, errand.by.person and errand.by.person.pk, errand.at)
    refused_and_untouched(errand, request, b"garbage")
    refused = refused_and_untouched(errand, request, signed(request))
    assert isinstance(refused, throttle.TooManySignaturesFailed)
    assert 0 < refused.params["seconds"] <= throttle.SLOT.total_seconds()
    errand.complete(request, signed(request), errand.by, refused.again_at)
    request.refresh_from_db()
    assert request.used_at == refused.again_at
