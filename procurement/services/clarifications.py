"""Enquiries: a supplier asks, nobody learns who, and the buyer answers for everybody."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.permissions import Actor, person_of
from marketplace.services.notifications import notify
from marketplace.shared.errors import DomainError, Invalid, NotFound
from procurement.models import Clarification, Tender
from procurement.permissions import (
    ASKING_ROLES,
    BUYING_ROLES,
    require_able_to_act,
    require_question_asked,
    require_tender_run,
)
from procurement.queries import clarifications as queries
from procurement.rules.lifecycle import ClarificationStatus, TenderStatus
from procurement.services.drafts import lock_tender, stream_of
from procurement.services.transitions import move

QUESTION_MIN_LENGTH, QUESTION_MAX_LENGTH, ANSWER_MAX_LENGTH = 10, 4000, 8000
# One organisation's unanswered questions on one tender: more would be a flood, not an enquiry.
WAITING_MAX = 30


class EnquiriesOver(DomainError):
    code = "enquiries_over"
    sentence = gettext_lazy("The time for questions is over.")


class AnswersOver(DomainError):
    code = "answers_over"
    sentence = gettext_lazy("Bids are closed: an answer would come too late for everybody.")


class AlreadyAnswered(DomainError):
    code = "already_answered"
    sentence = gettext_lazy("This question was answered meanwhile. An answer is public and stays as it is.")


class TooManyQuestions(DomainError):
    code = "too_many_questions"
    sentence = gettext_lazy("%(n)s questions of your organisation wait for an answer. Let some be answered first.")


@transaction.atomic
def ask(tender_id: int, question: str, *, by: Actor, at: datetime) -> Clarification:
    """Ask as the supplier `by` acts for, until the enquiry period ends; at its closing instant it is too late.

    Raises NotFound, NotAllowed, EnquiriesOver, TooManyQuestions, Invalid.
    """
    tender = lock_tender(tender_id)
    supplier = require_question_asked(by, tender)
    if not takes_questions(tender, at):
        raise EnquiriesOver
    text = _text(question, "question", QUESTION_MIN_LENGTH, QUESTION_MAX_LENGTH)
    waiting = tender.clarifications.filter(organisation=supplier, status=ClarificationStatus.ASKED.value)
    if waiting.count() >= WAITING_MAX:
        raise TooManyQuestions(n=WAITING_MAX)
    clarification = Clarification.objects.create(
        tender=tender,
        number=(tender.clarifications.aggregate(last=Max("number"))["last"] or 0) + 1,
        organisation=supplier,
        asked_by=person_of(by),
        asked_at=at,
        question=text,
    )
    # The buyer reads the tender's audit trail: it says that somebody asked. Who did stands in the asker's own trail.
    trails = ((stream_of(tender), None), (f"organisation:{supplier.pk}", by))
    for stream, who in trails:
        audit.record("question.asked", clarification, by=who, at=at, stream=stream, number=clarification.number)
    words = _("A new question about %(tender)s waits for your answer.") % {"tender": tender.number}
    notify(tender.buyer, "question_asked", words, _url(tender), at=at, roles=BUYING_ROLES)
    return clarification


@transaction.atomic
def answer(clarification_id: int, text: str, *, by: Actor, at: datetime) -> Clarification:
    """Answer in public, until bids close. The question and its answer become visible to everybody.

    Raises NotFound, NotAllowed, AnswersOver, AlreadyAnswered, Invalid.
    """
    found = Clarification.objects.filter(pk=clarification_id).values_list("tender", flat=True).first()
    if found is None:
        raise NotFound
    tender = lock_tender(found)
    if not by.acts_for(tender.buyer_id):
        raise NotFound
    require_tender_run(by, tender)
    require_able_to_act(by)
    clarification = Clarification.objects.select_for_update(of=("self",)).get(pk=clarification_id)
    if clarification.status == ClarificationStatus.ANSWERED:
        raise AlreadyAnswered
    if tender.status != TenderStatus.PUBLISHED or tender.tender_ends_at is None or at >= tender.tender_ends_at:
        raise AnswersOver
    clarification.answer = _text(text, "answer", 1, ANSWER_MAX_LENGTH)
    clarification.answered_at = at
    clarification.answered_by = person_of(by)
    move(clarification, ClarificationStatus.ANSWERED)
    clarification.save(update_fields=["status", "answer", "answered_at", "answered_by"])
    audit.record(
        "question.answered", clarification, by=by, at=at, stream=stream_of(tender), number=clarification.number
    )
    words = _("Question %(n)s about %(tender)s is answered.") % {"n": clarification.number, "tender": tender.number}
    for organisation in queries.concerned(tender):
        notify(organisation, "question_answered", words, _url(tender), at=at, roles=ASKING_ROLES)
    return clarification


def takes_questions(tender: Tender, at: datetime) -> bool:
    """Whether the enquiry period runs: half-open, at its end it is over."""
    end = tender.enquiry_ends_at or tender.tender_ends_at
    return tender.status == TenderStatus.PUBLISHED and end is not None and at < end


def _text(text: str, field: str, shortest: int, longest: int) -> str:
    text = text.strip()
    if len(text) < shortest:
        raise Invalid({field: [_("Write a whole sentence, at least %(n)s characters.") % {"n": shortest}]})
    if len(text) > longest:
        raise Invalid({field: [_("At most %(n)s characters.") % {"n": longest}]})
    return text


def _url(tender: Tender) -> str:
    return f"{tender.get_absolute_url()}questions/"
