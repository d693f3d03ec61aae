"""One small world for the tests of who may see and do what: people, and an object of every kind, made by services."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from analytics.models import Account, Card, Import, LeadSource, SameSale, ScoringRun, Territory
from analytics.rules.pipeline import BuyingRole
from analytics.services import buying_group, cards, contacts, leads, merges, opportunities
from analytics.services.contacts import ContactDetails
from analytics.services.leads import LeadDetails
from analytics.services.opportunities import OpportunityDetails
from marketplace.models import (
    Accreditation,
    AccreditationStatus,
    Invitation,
    Invoice,
    Membership,
    Notification,
    Organisation,
    QueuedSignature,
    RevocationSource,
    Role,
    Side,
    SignatureEvidence,
    StaffRole,
    TrustedCertificate,
)
from marketplace.permissions import Actor
from marketplace.services import accreditations, committee_keys, invitations, notifications, signing, tariffs, tokens
from marketplace.signatures import Report, Signer, Sub, sealing
from marketplace.signatures import committee as committee_signatures
from procurement.demo.committee import Holder
from procurement.models import Award, Bid, BidFile, BidRoll, Lot, ProtocolKind, Tender
from procurement.rules.lifecycle import BidStatus
from procurement.services import (
    amendments,
    auctions,
    awards,
    bid_documents,
    bid_drafts,
    bid_roll,
    bid_uploads,
    bids,
    cancellation,
    clarifications,
    contracts,
    documents,
    evaluation,
    export_jobs,
    opening,
    protocols,
    unopenable,
)
from procurement.services.amendment_values import Proposal
from tests.factories import bidder_program as program
from tests.factories import deliveries, insights, offers, signatures
from tests.factories.auctions import admitted_bid, evaluated_tender
from tests.factories.bids import LATER, drafted_bid, send, sent_bid, tender_taking_bids
from tests.factories.committee import held_tender
from tests.factories.contracts import signed_contract
from tests.factories.marketplace import (
    NOON,
    AccreditationFactory,
    HeadingFactory,
    OrganisationFactory,
    PersonFactory,
    PlanFactory,
    accredited_buyer,
    accredited_supplier,
    member,
    staff,
)
from tests.factories.procurement import draft_tender

#: The moment at which every page is asked for: what closed has closed, and what is open stays open for ten days.
NOW = NOON + timedelta(days=60)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@dataclass
class World:
    """`people` by role; `names` are the values that URLs of the table are made of; `token` is the supplier's."""

    people: dict[str, Actor]
    token: str = ""
    names: dict[str, Any] = field(default_factory=dict)

    def resolve(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments with the world's objects in place of their names."""
        return {name: self.names.get(it, it) for name, it in arguments.items()}

    def client(self, role: str, **options: Any) -> Client:
        """A browser in which the role's person is logged in; for "token" a program that sends the supplier's token."""
        if role == "token":
            return Client(headers={"authorization": f"Bearer {self.token}"}, **options)
        client = Client(**options)
        if role != "visitor":
            person = self.people[role].person
            assert person is not None
            client.force_login(person, backend=BACKEND)
            # As after a log-in by password just now: allauth asks for it again before it shows a second factor.
            session = client.session
            session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
            session.save()
        return client


def build() -> World:
    """The people, and what they have done until now."""
    signatures.trust()
    buyer, supplier = accredited_buyer(), accredited_supplier()
    people = {
        "person": Actor(person=PersonFactory.create()),
        "buyer": member(buyer, Role.OFFICER, Role.SIGNER),
        "buyer_observer": member(buyer, Role.OBSERVER),
        "other_buyer": member(accredited_buyer()),
        "supplier": member(supplier, Role.BID_MANAGER, Role.SIGNER),
        "supplier_admin": member(supplier, Role.ADMINISTRATOR),
        "supplier_observer": member(supplier, Role.OBSERVER),
        "other_supplier": member(accredited_supplier()),
        **{role.value: staff(role) for role in StaffRole},
    }
    world = World(people)
    _draft(world, buyer)
    _open(world, buyer)
    _committee(world, buyer)
    _awarding(world, buyer)
    _contract(world, buyer)
    _auction(world, buyer)
    _organisation(world, supplier)
    _waiting_signature(world, supplier)
    _second_factor(world)
    _deliveries(world, buyer, supplier)
    _requests(world, supplier)
    _pipeline(world)
    _cards(world)
    _purchases(world)
    return world


def _draft(world: World, buyer: Organisation) -> None:
    tender = draft_tender(buyer=buyer, enquiry_ends_at=NOW + timedelta(days=5), tender_ends_at=NOW + timedelta(days=10))
    document = _document(tender, world.people["buyer"])
    lot = tender.lots.get()
    world.names |= {"draft": tender.number, "draft_id": tender.pk, "draft_document": document.pk}
    world.names |= {"draft_lot": lot.pk, "draft_item": lot.items.all()[0].pk}


def _committee(world: World, buyer: Organisation) -> None:
    """A tender whose key the buyer holds with two colleagues, and whose bid waits for their shares."""
    officer = world.people["buyer"]
    pair = sealing.new_key_pair()
    wrapped = committee_signatures.wrap(pair.private, "a passphrase")
    own = Holder(officer, committee_keys.make(pair.public, wrapped, by=officer, at=NOON), pair.private)
    held = held_tender(buyer=buyer, escrow=True, officers=[own])
    lot = held.tender.lots.get()
    supplier = member(accredited_supplier())
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_drafts.start(lot.pk, by=supplier, at=NOON).pk)
    content = program.content_of(bid, ["20", "30"], ["200.00", "300.00"], "500.00")
    program.send(bid, program.sealed_content(bid, content), by=supplier)
    opening.open_tender(held.tender.pk, LATER)
    observer = world.people["buyer_observer"].person
    assert observer is not None
    lost = unopenable.prepare(held.tender.pk, "Two members have left us.", by=officer, at=LATER + timedelta(days=1))
    world.names |= {"held": held.tender.number, "buyer_observer_id": observer.pk, "giving_up": lost.nonce}


def _document(tender: Tender, by: Actor) -> Any:
    return documents.add(tender.pk, ContentFile(PDF, name="specification.pdf"), by=by, at=NOON)


def _open(world: World, buyer: Organisation) -> None:
    """A tender that takes bids: one sent, one in preparation, a question asked, a document."""
    supplier = world.people["supplier"]
    tender = tender_taking_bids(
        lots=3, buyer=buyer, enquiry_ends_at=NOW + timedelta(days=5), tender_ends_at=NOW + timedelta(days=10)
    )
    first, second, third = tender.lots.order_by("number")
    sent = sent_bid(first, ["10.00", "20.00"], by=supplier)
    draft = drafted_bid(second, ["11.00", "21.00"], by=supplier)
    file = bid_documents.add(draft.pk, ContentFile(PDF, name="offer.pdf"), by=supplier, at=NOON)
    question = clarifications.ask(tender.pk, "Is the colour of the chairs free to choose?", by=supplier, at=NOON)
    prepared = bids.prepare_submission(draft.pk, by=supplier, at=NOW)
    withdrawal = bids.prepare_withdrawal(sent.pk, by=supplier, at=NOW)
    sealed = bid_documents.add(sent.pk, ContentFile(PDF, name="offer.pdf"), by=supplier, at=NOON)
    upload = bid_uploads.begin(sent.pk, size=sealing.sealed_size(5), by=supplier, at=NOW)
    document = documents.attach(
        tender,
        _document(draft_tender(buyer=buyer), world.people["buyer"]).file,
        title="",
        lot=None,
        series=None,
        at=NOON,
    )
    world.names |= {
        "open": tender.number,
        "open_id": tender.pk,
        "open_lot": first.pk,
        "third_lot": third.pk,
        "amending": amendments.prepare(
            tender.pk,
            Proposal("More time is needed", fields={"tender_ends_at": NOW + timedelta(days=12)}),
            by=world.people["buyer"],
            at=NOW,
        ).nonce,
        "cancelling": cancellation.prepare(
            tender.pk, None, "The chairs are not needed any more", by=world.people["buyer"], at=NOW
        ).nonce,
        "open_document": document.pk,
        "question": question.pk,
        "question_number": question.number,
        "sent": sent.pk,
        "bid_draft": draft.pk,
        "draft_file": file.pk,
        "sealed_file": sealed.pk,
        "upload": upload.token,
        "sending": prepared.nonce,
        "sending_id": prepared.pk,
        "withdrawing": withdrawal.nonce,
    }


def _awarding(world: World, buyer: Organisation) -> None:
    """An opened tender whose award waits for the signature, with the supplier's bid and a rival's."""
    lot = _opened(world, buyer, admit=True)
    opened = lot.bids.get(supplier=world.people["supplier"].organisation)
    proposal = awards.propose(lot.pk, opened.pk, "The only delivery in time", by=world.people["buyer"], at=NOW)
    undecided = _opened(world, buyer, admit=False)
    export = export_jobs.ask(lot.tender, by=world.people["supplier"], at=NOW)
    export_jobs.run(export.pk, lambda: NOW)
    roll = BidRoll.objects.get(tender=undecided.tender)
    bid_roll.keep_stamp(roll.pk, b"a token", LATER, LATER)
    world.names |= {
        "awarding": lot.tender.number,
        "awarding_id": lot.tender_id,
        "opened": opened.pk,
        "opened_document": BidFile.objects.get(bid=opened).pk,
        "awarding_nonce": proposal.nonce,
        "protocol_nonce": protocols.prepare(
            lot.tender_id, ProtocolKind.OPENING, by=world.people["buyer"], at=NOW
        ).nonce,
        "evaluation": undecided.tender.number,
        "export": export.pk,
        "stamped": undecided.tender.number,
        "undecided": undecided.bids.get(supplier=world.people["supplier"].organisation).pk,
    }


def _opened(world: World, buyer: Organisation, *, admit: bool) -> Lot:
    supplier = world.people["supplier"]
    lot = tender_taking_bids(buyer=buyer).lots.get()
    bid = drafted_bid(lot, ["10.00", "20.00"], by=supplier)
    bid_documents.add(bid.pk, ContentFile(PDF, name="offer.pdf"), by=supplier, at=NOON)
    send(bid, by=supplier)
    sent_bid(lot, ["9.00", "19.00"], by=member(accredited_supplier()), at=NOON)
    opening.open_tender(lot.tender_id, LATER)
    if admit:
        evaluation.admit_all(lot.pk, by=world.people["buyer"], at=LATER)
    return Lot.objects.select_related("tender").get(pk=lot.pk)


def _contract(world: World, buyer: Organisation) -> None:
    """An award in force, and its contract before the signatures."""
    lot = _opened(world, buyer, admit=True)
    bid = Bid.objects.get(lot=lot, supplier=world.people["supplier"].organisation)
    request = awards.propose(lot.pk, bid.pk, "The only delivery in time", by=world.people["buyer"], at=LATER)
    award = awards.decide(
        request.pk, signatures.signed(request), idempotency_key="award", by=world.people["buyer"], at=LATER
    )
    awards.end_standstill(lot.pk, award.standstill_ends_at or LATER)
    contract = Award.objects.get(pk=award.pk).contract
    world.names |= {
        "won": lot.tender.number,
        "won_bid": bid.pk,
        "contract": contract.number,
        "buyer_signs": contracts.prepare_signature(contract.pk, by=world.people["buyer"], at=NOW).nonce,
        "supplier_signs": contracts.prepare_signature(contract.pk, by=world.people["supplier"], at=NOW).nonce,
    }


def _auction(world: World, buyer: Organisation) -> None:
    """A live auction that runs, in which the supplier has a seat, and one that is over."""
    for name, start in (("hall", NOW - timedelta(minutes=1)), ("over", NOW - timedelta(days=1))):
        tender = evaluated_tender(start=start)
        Tender.objects.filter(pk=tender.pk).update(buyer=buyer)
        lot = tender.lots.get()
        for place, bidder in enumerate((world.people["supplier"].organisation, accredited_supplier())):
            assert bidder is not None
            admitted_bid(lot, bidder, f"{90 - place}.00", start - timedelta(hours=2) + timedelta(minutes=place))
        (auction,) = auctions.schedule(tender.pk, at=start - timedelta(seconds=30))
        auctions.start(auction.pk, at=start)
        if name == "over":
            auctions.end(auction.pk, at=start + timedelta(hours=1))
        world.names |= {name: tender.number, f"{name}_lot": lot.pk, f"{name}_auction": auction.pk}
    assert Bid.objects.filter(status=BidStatus.ADMITTED).exists()


def _organisation(world: World, supplier: Organisation) -> None:
    """The supplier's papers, people, invoice and notes, and what waits for the platform's staff."""
    signer, admin = world.people["supplier"], world.people["supplier_admin"]
    Accreditation.objects.filter(side=Side.SUPPLIER).update(status=AccreditationStatus.DRAFT)
    accreditation = Accreditation.objects.get(organisation=supplier)
    papers = [
        accreditations.add_document(
            accreditation.pk, kind=kind, title="", upload=ContentFile(PDF, name=f"{kind}.pdf"), by=signer, at=NOON
        )
        for kind in ("register", "authority")
    ]
    waiting = AccreditationFactory.create(
        organisation=world.people["other_supplier"].organisation, side=Side.BUYER,
        status=AccreditationStatus.SUBMITTED, decided_at=None, valid_until=None,
    )  # fmt: skip
    plan = PlanFactory.create(code="gold", rank=90)
    subscription = tariffs.subscribe(plan.pk, by=signer, at=NOW)
    invoice = Invoice.objects.get(subscription=subscription)
    invitation = invitations.invite(supplier.pk, "new@example.com", [Role.OBSERVER], by=admin, at=NOW)
    api_token, world.token = tokens.create("Our ERP", by=signer, at=NOON)
    assert signer.person is not None
    evidence = SignatureEvidence.objects.select_related("object").latest("pk")
    notifications.notify(signer.person, "note", "Something happened.", "/bids/", at=NOON, mail=False)
    Invitation.objects.filter(pk=invitation.pk).update(token_sha256=invitations.digest("a-secret"))
    world.names |= {
        "invitation_secret": "a-secret",
        "signature": evidence.signature_id,
        "evidence": evidence.object.sha256,
        "trusted": TrustedCertificate.objects.latest("pk").pk,
        "revocation_source": RevocationSource.objects.create(
            authority=TrustedCertificate.objects.latest("pk"),
            kind="crl",
            url="http://crl.example/",
            enabled=False,
            added_at=NOON,
            next_at=NOW,
        ).pk,
        "buyer_id": Tender.objects.get(number=world.names["open"]).buyer_id,
        "paper": papers[0].pk,
        "waiting_accreditation": waiting.pk,
        "plan": plan.pk,
        "plan_code": plan.code,
        "invoice": invoice.pk,
        "invitation": invitation.pk,
        "api_token": api_token.pk,
        "observer_membership": Membership.objects.get(person=world.people["supplier_observer"].person).pk,
        "notification": Notification.objects.filter(person=signer.person).latest("pk").pk,
        "supplier_id": supplier.pk,
        "unregistered": OrganisationFactory.create(status="draft").pk,
    }


def _waiting_signature(world: World, supplier: Organisation) -> None:
    """A signature of the supplier's that waits for its verdict: of its contract, as the page says it."""
    signer, contract = world.people["supplier"], world.names["contract"]
    request = signing.prepare(
        action="contract", actor=signer, object_type="contract", object_id=0, object_version=1,
        content={"contract": contract, "tender": contract}, at=NOON, expires_at=NOW + timedelta(hours=1),
    )  # fmt: skip
    signers = signatures.certificate_of(supplier).der
    report = Report(
        Sub.TRY_LATER.indication, Sub.TRY_LATER, ("Try again later.",), Signer("CN=A", "1", (), "0" * 64, signers)
    )
    world.names["queued"] = QueuedSignature.objects.create(
        request=request, organisation=supplier, person=signer.person, cms=b"", cms_sha256="0" * 64, received_at=NOW,
        give_up_at=NOW + timedelta(days=1), next_try_at=NOW, report=json.loads(report.to_json()),
    ).pk  # fmt: skip


def _second_factor(world: World) -> None:
    """The supplier's signer has a second factor."""
    person = world.people["supplier"].person
    TOTP.activate(person, generate_totp_secret())
    RecoveryCodes.activate(person)


def _deliveries(world: World, buyer: Organisation, supplier: Organisation) -> None:
    """A contract in force with a delivery that waits for the buyer and one that is confirmed."""
    signed_at, day = NOW - timedelta(days=20), (NOW - timedelta(days=9)).date()
    lines = {HeadingFactory.create(): "100"}
    contract = signed_contract(buyer, supplier, lines, signed_at=signed_at, quantity="10")
    deliveries.recorded(contract, day, "2", at=NOW, by=world.people["supplier"])
    deliveries.confirmed(contract, day, "3", at=NOW)
    world.names["delivered"] = contract.number


def _requests(world: World, supplier: Organisation) -> None:
    """The buyer asks the supplier, and the platform, for an offer."""
    by = world.people["buyer"]
    world.names |= {
        "offer": offers.asked(supplier, by, NOW).pk,
        "platforms_offer": offers.asked(None, by, NOW).pk,
    }


def _pipeline(world: World) -> None:
    """A customer of the platform's book with a lead, and an opportunity with all its parts."""
    by = world.people["representative"]
    customer = insights.account(insights.platform_book(), by)
    lead, _new = leads.register(customer.book_id, LeadSource.OWN, LeadDetails("Kabel AG", need="Cables"), by=by, at=NOW)
    opportunity = opportunities.open_for(customer.pk, OpportunityDetails("Cables"), by=by, at=NOW)
    contact = contacts.add(customer.pk, ContactDetails("Mia", email="mia@kabel.example"), by=by, at=NOW)
    buying_group.put(opportunity.pk, contact.pk, BuyingRole.USER, by=by, at=NOW)
    objection = buying_group.object_to(opportunity.pk, "Too dear", by=by, at=NOW)
    world.names |= {
        "customer": customer.pk,
        "lead": lead.pk,
        "opportunity": opportunity.pk,
        "contact": contact.pk,
        "objection": objection.pk,
    }


def _cards(world: World) -> None:
    """An open card of the customer with a note on it, and a territory."""
    by = world.people["representative"]
    customer = Account.objects.get(pk=world.names["customer"])
    card = Card.objects.create(
        book=customer.book, account=customer, kind="recovery", level="account", p=0.7, p_made=0.7,
        expected_amount=Decimal(1000), currency="EUR", by_money=700, by_certain=22.1, cutoff=NOW.date(),
        representative=customer.representative, created_at=NOW, shown_on=NOW.date(),
    )  # fmt: skip
    event = cards.accept(card.pk, by=by, at=NOW).event
    territory = Territory.objects.create(book=customer.book, name="South")
    assert by.person is not None
    world.names |= {"card": card.pk, "card_event": event.pk, "territory": territory.pk, "seller": by.person.pk}


def _purchases(world: World) -> None:
    """A file that was read with rows left out, two customers merged, and a run of the platform's book."""
    book, by = insights.platform_book(), world.people["sales_manager"]
    one, two = insights.account(book), insights.account(book)
    batch = Import.objects.create(
        book=book, kind="file", state="read", name="sales.csv", created_by=by.person, created_at=NOW,
        found={"head": ["who", "when"], "sample": [["K1", "2026-05-01"]]}, counts={"read": 1, "rejected": 1},
        rejects={"bad_date": 1},
        rejects_path=default_storage.save("purchases/1.csv", ContentFile(b"line,reason,value\n")),
    )  # fmt: skip
    merged = merges.merge(book, one.pk, two.pk, by=by, at=NOW)
    same = SameSale.objects.create(book=book, account=two, order="R-1", contract="OL-2026-000001-1-1")
    run = ScoringRun.objects.create(book=book, cutoff=NOW.date(), state="whole", created_at=NOW, finished_at=NOW)
    world.names |= {"import": batch.pk, "merge": merged.pk, "run": run.pk, "same_sale": same.pk}
