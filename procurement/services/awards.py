"""Awarding a lot: proposed, signed, then a standstill. A winner that falls away gives way to the next-ranked bid."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.models import Role, SigningRequest
from marketplace.permissions import Actor, person_of
from marketplace.services import notifications, signing
from marketplace.services.signing import Judged
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.shared.money import Money
from marketplace.signatures.payload import parse
from procurement import permissions
from procurement.models import Award, Bid, Contract, Lot, MomentKind, Tender
from procurement.queries import awards as award_queries
from procurement.queries import bids as bid_queries
from procurement.rules.lifecycle import AwardStatus, BidStatus, ContractStatus, LotStatus, TenderStatus
from procurement.rules.periods import period_end
from procurement.rules.ranking import Direction
from procurement.services import contracts, criteria, evaluation, moments, outcomes, words
from procurement.services.evaluation import ReasonMissing
from procurement.services.once import once
from procurement.services.timetable import reckoning_of
from procurement.services.transitions import move

AWARD: Final = "award"
SIGNING_TIME: Final = timedelta(hours=2)


class NotAwarding(DomainError):
    code = "not_awarding"
    sentence = gettext_lazy("Lots are awarded after all bids are decided. The procedure is now: %(state)s.")


class BidNotAdmitted(DomainError):
    code = "bid_not_admitted"
    sentence = gettext_lazy("Only an admitted bid can win the lot. This one is: %(state)s.")


class BidsUndecided(DomainError):
    code = "bids_undecided"
    sentence = gettext_lazy("Admit or reject every bid of this lot first: %(count)s is not yet decided.")


class AlreadyAwarded(DomainError):
    code = "already_awarded"
    sentence = gettext_lazy("This lot is already awarded to %(winner)s.")


class AwardChanged(DomainError):
    code = "award_changed"
    sentence = gettext_lazy(
        "The award was changed after it was prepared for signing. Look at it again and sign it anew."
    )


class NotLowest(DomainError):
    code, status = "not_lowest", 422
    sentence = gettext_lazy("This is not the best-ranked bid. Say why it wins: the other bidders will read it.")


class AwardNotInForce(DomainError):
    code = "award_not_in_force"
    sentence = gettext_lazy("There is no award in force for this lot.")


class ContractInForce(DomainError):
    code = "contract_in_force"
    sentence = gettext_lazy("The contract is signed by both sides: the award can no longer be taken back here.")


class StandstillRunning(DomainError):
    code = "standstill_running"
    sentence = gettext_lazy("The standstill has not ended yet.")


@transaction.atomic
def propose(lot_id: int, bid_id: int, reason: str, *, by: Actor, at: datetime) -> SigningRequest:
    """The award of a lot, prepared for the buyer's signature; a proposal made before is replaced.

    Without a reason the best-ranked admitted bid can be awarded, any other needs one (NotLowest). A bid of the lot
    that nobody has decided stands in the way (BidsUndecided): it would never learn what became of it.
    """
    lot = _locked_lot(lot_id, by)
    if undecided := Bid.objects.filter(lot=lot, status=BidStatus.OPENED.value).count():
        raise BidsUndecided(count=undecided)
    standing = list(_standing_bids(lot, at))
    bid = next((found for found in standing if found.pk == bid_id), None)
    if bid is None:
        raise BidNotAdmitted(state=_state_of(lot, bid_id))
    best = standing[0]
    if bid != best and not reason.strip():
        raise NotLowest(field="reason")
    award = _pending(lot, bid, standing, reason.strip() or str(_best(lot)), at)
    return signing.prepare(
        action=AWARD,
        actor=by,
        object_type="award",
        object_id=award.pk,
        object_version=lot.tender.version,
        content=_content(award, lot, bid, standing),
        at=at,
        expires_at=at + SIGNING_TIME,
    )


@transaction.atomic
def decide(
    request_id: int, cms: bytes, *, idempotency_key: str, by: Actor, at: datetime, verdict: Judged | None = None
) -> Award:
    """The signed award comes into force: its bid wins, the others learn why not, and the standstill begins.

    A `verdict` may be given later than the signature was received; the standstill begins at `at`, when the bidders are
    told. A refused signature (SignatureRefused) leaves the award a proposal.
    """
    once(AWARD, idempotency_key, request_id, by=by, at=at)
    request = SigningRequest.objects.filter(pk=request_id, action=AWARD, object_type="award").first()
    known = Award.objects.select_related("lot__tender").filter(pk=int(request.object_id)).first() if request else None
    if request is None or known is None:
        raise NotFound
    done = Award.objects.filter(signature__request=request).first()
    if done:
        permissions.require_awarder(by, done.lot)
        return done
    permissions.require_awarder(by, known.lot)
    verdict = verdict or signing.judged(request, cms, by=by, at=at)
    lot = _locked_lot(known.lot_id, by, awarded=known)
    award = Award.objects.select_for_update(of=("self",)).select_related("bid__supplier").get(pk=known.pk)
    if award.status != AwardStatus.PENDING:
        done = Award.objects.filter(signature__request=request).first()
        if done:
            return done
        raise AwardChanged
    standing = list(_standing_bids(lot, at))
    award.lot = lot
    if parse(bytes(request.payload))["content"] != _content(award, lot, award.bid, standing):
        raise AwardChanged
    award.signature = signing.complete(request, cms, by=by, at=at, verdict=verdict)
    _put_in_force(award, by, at)
    _tell_bidders(award, standing, at)
    _after_award(lot, award, at)
    return award


@transaction.atomic
def end_standstill(lot_id: int, at: datetime) -> Award | None:
    """The contract of the lot's award is drafted. Run again, or without an award in force, it does nothing.

    Raises StandstillRunning before the end.
    """
    lot = _lock(lot_id)
    award = Award.objects.select_for_update().filter(lot=lot, status=AwardStatus.ACTIVE.value).first()
    if award is None or Contract.objects.filter(award=award).exists():
        return None
    if award.standstill_ends_at is not None and at < award.standstill_ends_at:
        raise StandstillRunning
    award.lot = lot
    contracts.draft(award, at)
    return award


@transaction.atomic
def fall_away(award_id: int, reason: str, *, by: Actor, at: datetime) -> Award | None:
    """The winner falls away, with a reason: its bid is rejected, and the next-ranked bid is proposed for the award.

    Returns the new proposal; None when nobody is left, and then the lot is unsuccessful.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    known = Award.objects.select_related("lot__tender").filter(pk=award_id).first()
    if known is None:
        raise NotFound
    permissions.require_awarder(by, known.lot)
    permissions.require_able_to_act(by)
    lot = _lock(known.lot_id)
    award = Award.objects.select_for_update(of=("self",)).select_related("bid__supplier").get(pk=award_id)
    if award.status != AwardStatus.ACTIVE:
        raise AwardNotInForce
    _end_contract(award, reason.strip(), by, at)
    move(award, AwardStatus.UNSUCCESSFUL)
    award.reason = f"{award.reason}\n{reason.strip()}".strip()
    award.save(update_fields=["status", "reason"])
    audit.record("award.fell_away", award, by=by, at=at, stream=_stream(lot), reason=reason.strip())
    moments.cancel(lot.tender, lot, [MomentKind.STANDSTILL_ENDS])
    award.bid.lot = lot
    evaluation.disqualify(award.bid, reason.strip(), by, at)
    return _next(lot, by, at)


def _next(lot: Lot, by: Actor, at: datetime) -> Award | None:
    standing = list(_standing_bids(lot, at))
    if not standing:
        outcomes.fail_lot(lot, _("The winner fell away and no other bid is left."), at, by=by)
        if not outcomes.conclude(lot.tender, at, by=by):
            outcomes.begin_standstill(lot.tender, at)
        return None
    _reopen(lot.tender)
    return _pending(lot, standing[0], standing, _("The winner fell away; this is the next-ranked bid."), at)


def _reopen(tender: Tender) -> None:
    if tender.status == TenderStatus.STANDSTILL:
        move(tender, TenderStatus.AWARDING)
        tender.save(update_fields=["status", "updated_at"])


def _best(lot: Lot) -> Sentence:
    if lot.tender.terms.single_bid_price is not None:
        return _("The best admitted bid, at the price of the second best.")
    if lot.tender.criteria:
        return _("The admitted bid that counts as best with what was asked besides the price.")
    if lot.tender.preset.axes.direction is Direction.UP:
        return _("The highest admitted bid.")
    return _("The lowest admitted bid.")


def _pending(lot: Lot, bid: Bid, standing: list[Bid], reason: str, at: datetime) -> Award:
    amount = award_queries.price_to_pay(lot, bid, standing)
    award, _made = Award.objects.update_or_create(
        lot=lot,
        status=AwardStatus.PENDING.value,
        defaults={"bid": bid, "amount": amount, "currency": bid.currency, "reason": reason, "created_at": at},
    )
    return award


def _put_in_force(award: Award, by: Actor, at: datetime) -> None:
    tender = award.lot.tender
    move(award, AwardStatus.ACTIVE)
    award.decided_at, award.decided_by = at, person_of(by)
    award.standstill_ends_at = period_end(at, tender.terms.standstill_days, reckoning_of(tender))
    award.save(update_fields=["status", "decided_at", "decided_by", "standstill_ends_at", "signature"])
    audit.record(
        "award.decided", award, by=by, at=at, stream=_stream(award.lot), bid=award.bid_id,
        amount=Money(award.amount, award.currency).as_string(), currency=award.currency, reason=award.reason,
    )  # fmt: skip


def _tell_bidders(award: Award, standing: list[Bid], at: datetime) -> None:
    """The winner wins, the others lose, each with the words it reads."""
    lot = award.lot
    lost = _("The lot was awarded to %(winner)s for %(amount)s. Reason: %(reason)s") % {
        "winner": award.bid.supplier.short_name,
        "amount": words.price(award.amount, award.currency),
        "reason": award.reason,
    }
    for bid in standing:
        won = bid.pk == award.bid_id
        after = BidStatus.WINNING if won else BidStatus.LOSING
        if bid.status != after:
            move(bid, after)
        bid.decision_reason = award.reason if won else lost
        bid.save(update_fields=["status", "decision_reason", "updated_at"])
        said = (
            _("You won lot %(lot)s of %(tender)s.") if won else _("Lot %(lot)s of %(tender)s was awarded to another.")
        )
        notifications.notify(
            bid.supplier, "award_decided", said % {"lot": lot.number, "tender": lot.tender.number},
            reverse("bid", args=[bid.pk]), at=at, roles=[Role.BID_MANAGER, Role.SIGNER],
        )  # fmt: skip


def _after_award(lot: Lot, award: Award, at: datetime) -> None:
    ends = award.standstill_ends_at
    if ends is None or ends <= at:
        contracts.draft(award, at)
    else:
        moments.schedule(MomentKind.STANDSTILL_ENDS, lot.tender, ends, lot)
        outcomes.begin_standstill(lot.tender, at)


def _end_contract(award: Award, reason: str, by: Actor, at: datetime) -> None:
    contract = Contract.objects.select_for_update().filter(award=award).first()
    if contract is None:
        return
    if contract.status not in (ContractStatus.DRAFT, ContractStatus.SIGNING):
        raise ContractInForce
    contracts.terminate(contract, reason, by, at)


def _content(award: Award, lot: Lot, bid: Bid, standing: list[Bid]) -> dict[str, Any]:
    """What the buyer signs: the winner, the amount, the reason, and all bids it was chosen from."""
    return {
        "tender": lot.tender.number,
        "tender_title": lot.tender.title,
        "lot": lot.number,
        "lot_title": lot.title,
        "winner": bid.supplier.full_name,
        "winner_identifiers": signing.identifiers_of(bid.supplier),
        "amount": Money(award.amount, award.currency).as_string(),
        "currency": award.currency,
        "reason": award.reason,
        # “standstill_days”, or “standstill_minutes” at the demonstration's pace: what is signed says what is counted.
        f"standstill_{reckoning_of(lot.tender).unit}s": lot.tender.terms.standstill_days,
        "bids": [
            {
                "rank": found.rank,
                "supplier": found.supplier.full_name,
                "amount": Money(found.amount, found.currency).as_string() if found.amount is not None else "",
                **({"counts_as": criteria.counts_as(lot, found, found.amount)} if lot.tender.criteria else {}),
            }
            for found in standing
        ],
    }


def _standing_bids(lot: Lot, at: datetime) -> list[Bid]:
    """Bids that can win, best first, locked."""
    found = (
        bid_queries.opened(at)
        .filter(lot=lot, status__in=[status.value for status in bid_queries.STANDING])
        .prefetch_related("supplier__identifiers")
        .select_for_update(of=("self",))
    )
    return list(found)


def _state_of(lot: Lot, bid_id: int) -> str:
    bid = Bid.objects.filter(pk=bid_id, lot=lot).first()
    if bid is None:
        raise NotFound
    return str(bid.get_status_display())


def _locked_lot(lot_id: int, by: Actor, *, awarded: Award | None = None) -> Lot:
    """The lot under its tender's lock, while it can be awarded."""
    lot = Lot.objects.select_related("tender").filter(pk=lot_id).first()
    if lot is None:
        raise NotFound
    permissions.require_awarder(by, lot)
    lot = _lock(lot_id)
    active = Award.objects.filter(lot=lot, status=AwardStatus.ACTIVE.value).select_related("bid__supplier").first()
    if active and active != awarded:
        raise AlreadyAwarded(winner=active.bid.supplier.short_name)
    if lot.tender.status != TenderStatus.AWARDING and active is None:
        raise NotAwarding(state=lot.tender.get_status_display())
    if lot.status != LotStatus.ACTIVE:
        raise NotAwarding(state=lot.get_status_display())
    return lot


def _lock(lot_id: int) -> Lot:
    tender_id = Lot.objects.values_list("tender_id", flat=True).get(pk=lot_id)
    tender = Tender.objects.select_for_update(of=("self",)).select_related("buyer").get(pk=tender_id)
    lot = Lot.objects.select_for_update().get(pk=lot_id)
    lot.tender = tender
    return lot


def _stream(lot: Lot) -> str:
    return f"tender:{lot.tender_id}"
