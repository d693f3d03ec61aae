"""Waiting signatures in a hurry. Each test fails when the lock or the check that it is about is taken out."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from marketplace.models import Notification, QueuedSignature, QueuedState, Signature
from marketplace.permissions import Actor
from marketplace.services import signature_queue, signing, waiting_ends
from marketplace.services.signature_queue import NothingWaits
from marketplace.services.signing import Judged
from procurement.models import Bid, BidEnvelope, Tender
from procurement.rules.lifecycle import BidStatus
from procurement.services import bid_documents, bids, opening
from procurement.services.bid_verdicts import SignaturesBeingJudged
from tests.factories.at_once import at_the_same_time, wait_until_blocked
from tests.factories.bids import CLOSES, bidder, drafted_bid, tender_taking_bids
from tests.factories.marketplace import NOON
from tests.factories.signatures import bring_lists, lose_lists, signed, trust
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db(transaction=True)
JUST_BEFORE, JUST_AFTER = CLOSES - timedelta(seconds=1), CLOSES + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _without_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is enqueued is lost: nobody judges but who is told to here."""
    monkeypatch.setattr("marketplace.shared.jobs._send", lambda *_job: None)


@pytest.fixture
def by() -> Actor:
    trust()
    return bidder()


def sent(by: Actor) -> QueuedSignature:
    """A bid received just before the deadline whose signature waits, while the data for it is here by now."""
    bid = drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=JUST_BEFORE)
    lose_lists()
    row = signature_queue.take(request, signed(request), by=by, at=JUST_BEFORE, idempotency_key="one")
    bring_lists(JUST_BEFORE)
    return row  # type: ignore[no-any-return]  # it waits: what else is taken is the action's own


class Meanwhile:
    """Does something in another thread as soon as something else is about to be done, and while it is."""

    def __init__(self, other: Callable[[], object]) -> None:
        self._answers: list[object] = []
        self._thread = threading.Thread(target=lambda: self._answers.extend(at_the_same_time(other)))

    def before(self, what: Callable[..., Any]) -> Callable[..., Any]:
        def after_the_other_has_begun(*given: Any) -> Any:
            self._thread.start()
            wait_until_blocked()
            return what(*given)

        return after_the_other_has_begun

    def answer(self) -> object:
        self._thread.join()
        return self._answers[0]


def test_one_signature_sent_twice_at_once_waits_once(by: Actor) -> None:
    bid = drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    cms, anew = signed(request), signed(request)
    lose_lists()

    def send(bytes_sent: bytes, key: str) -> Any:
        return lambda: signature_queue.take(request, bytes_sent, by=by, at=NOON, idempotency_key=key)

    rows = at_the_same_time(send(cms, "one"), send(cms, "one"), send(anew, "two"))

    assert rows == [QueuedSignature.objects.get()] * 3


def test_those_of_one_organisation_that_begin_to_wait_at_once_are_counted_one_by_one(
    by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature_queue, "MOST_WAITING", 1)
    drafts = [drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by) for _number in range(2)]
    first, second = [bids.prepare_submission(bid.pk, by=by, at=NOON) for bid in drafts]
    cms = signed(second)
    lose_lists()
    other = Meanwhile(lambda: signature_queue.take(second, cms, by=by, at=NOON, idempotency_key="two"))
    kept = signature_queue._give_up_at
    monkeypatch.setattr(signature_queue, "_give_up_at", other.before(kept))

    signature_queue.take(first, signed(first), by=by, at=NOON, idempotency_key="one")

    assert isinstance(other.answer(), signing.SignatureWaits)
    assert QueuedSignature.objects.get().request == first


def test_several_tasks_at_once_do_it_once(by: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    row, judged, judge = sent(by), [], signing.judge
    monkeypatch.setattr(signing, "judge", lambda *given, **named: judged.append(1) or judge(*given, **named))

    answers = at_the_same_time(*[lambda: signature_queue.judge(row.pk, at=NOON)] * 3)

    assert sorted(answer is None for answer in answers) == [False, True, True]
    assert (len(judged), BidEnvelope.objects.count(), Signature.objects.count()) == (1, 1, 1)
    assert Notification.objects.filter(kind="signature_passed").count() == 1


def test_a_worker_killed_between_verdict_and_commit_has_done_nothing_and_another_does_it(
    by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, (done, tell) = sent(by), os.pipe()

    def work() -> None:
        record = waiting_ends.record

        def stuck(*given: Any, **named: Any) -> None:
            record(*given, **named)
            os.write(tell, b"!")
            threading.Event().wait()

        monkeypatch.setattr(waiting_ends, "record", stuck)
        signature_queue.judge(row.pk, at=NOON)

    worker = os.fork()
    if worker == 0:  # a thread of its own has a database connection of its own
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        os._exit(1)
    assert select.select([done], [], [], PATIENCE_S)[0]  # all is written, nothing committed
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)

    assert (BidEnvelope.objects.count(), Signature.objects.count()) == (0, 0)
    assert signature_queue.due(NOON) == []  # its claim lasts a while
    assert signature_queue.judge_due(lambda: NOON + signature_queue.CLAIM) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts, BidEnvelope.objects.get().received_at) == (QueuedState.PASSED, 2, JUST_BEFORE)
    assert Notification.objects.filter(kind="bid_received").count() == 1


def test_whose_claim_ran_out_does_nothing_while_another_is_at_it(by: Actor) -> None:
    row = sent(by)
    slow = signature_queue._claim(row.pk, NOON)
    fast = signature_queue._claim(row.pk, NOON + signature_queue.CLAIM)
    assert slow is not None
    assert fast is not None
    payload = bytes(row.request.payload)
    report = signing.judge(
        bytes(row.cms), payload, identifiers=signing.named_in(payload), at=JUST_BEFORE, received_at=JUST_BEFORE
    )

    verdict = Judged(bytes(row.cms), payload, JUST_BEFORE, report)
    assert signature_queue._settle(slow, verdict, JUST_BEFORE) is None
    assert BidEnvelope.objects.count() == 0
    done = signature_queue._settle(fast, verdict, JUST_BEFORE)

    assert done is not None
    assert (done.state, BidEnvelope.objects.count()) == (QueuedState.PASSED, 1)


def test_the_opening_does_not_slip_in_before_a_signature_begins_to_wait(
    by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has undone its work and let go of its locks; what was received in time is not written down yet."""
    bid = drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    request = bids.prepare_submission(bid.pk, by=by, at=JUST_BEFORE)
    lose_lists()
    opener = Meanwhile(lambda: opening.open_tender(bid.lot.tender_id, JUST_AFTER))
    monkeypatch.setattr(signature_queue, "_keep", opener.before(signature_queue._keep))

    signature_queue.take(request, signed(request), by=by, at=JUST_BEFORE, idempotency_key="one")

    assert isinstance(opener.answer(), SignaturesBeingJudged)


def test_no_document_is_taken_out_before_a_signature_begins_to_wait(by: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was signed names it, and is carried out later whatever was changed since."""
    bid = drafted_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    document = bid_documents.add(bid.pk, ContentFile(b"the plan", name="plan.txt"), by=by, at=NOON)
    request = bids.prepare_submission(bid.pk, by=by, at=NOON)
    lose_lists()
    colleague = Meanwhile(lambda: bid_documents.remove(bid.pk, document.pk, by=by, at=NOON))
    monkeypatch.setattr(signature_queue, "_keep", colleague.before(signature_queue._keep))

    row = signature_queue.take(request, signed(request), by=by, at=NOON, idempotency_key="one")

    assert isinstance(colleague.answer(), Bid)
    bring_lists(NOON)
    signature_queue.judge(row.pk, at=NOON)
    assert BidEnvelope.objects.get().manifest["files"][0]["file"] == document.pk
    assert bid.files.get().sealed_path


def test_the_opening_after_its_grace_and_a_verdict_do_not_wait_for_each_other(
    by: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both come for the tender and the row: in the same order, or they would stand in each other's way for good."""
    row = sent(by)
    tender_id = Tender.objects.get().pk
    opener = Meanwhile(lambda: opening.open_tender(tender_id, row.give_up_at))
    monkeypatch.setattr(signature_queue, "_carry_out", opener.before(signature_queue._carry_out))

    signature_queue.judge(row.pk, at=row.give_up_at - timedelta(microseconds=1))

    assert isinstance(opener.answer(), Tender)
    assert Bid.objects.get().status == BidStatus.OPENED


def test_the_opening_and_the_verdict_at_once_leave_a_bid_that_is_opened_or_waited_for(by: Actor) -> None:
    row = sent(by)
    tender_id = Tender.objects.get().pk

    opened, judged = at_the_same_time(
        lambda: opening.open_tender(tender_id, JUST_AFTER), lambda: signature_queue.judge(row.pk, at=JUST_AFTER)
    )

    assert isinstance(judged, QueuedSignature)
    if isinstance(opened, SignaturesBeingJudged):
        opening.open_tender(tender_id, JUST_AFTER)
    bid = Bid.objects.get()
    assert (bid.status, bid.received_at) == (BidStatus.OPENED, JUST_BEFORE)


def test_cancelled_and_judged_at_once_it_is_one_of_both(by: Actor) -> None:
    row = sent(by)

    withdrawn, _judged = at_the_same_time(
        lambda: signature_queue.withdraw(row.pk, by=by, at=NOON), lambda: signature_queue.judge(row.pk, at=NOON)
    )

    row.refresh_from_db()
    if isinstance(withdrawn, NothingWaits):
        assert (row.state, BidEnvelope.objects.count()) == (QueuedState.PASSED, 1)
    else:
        assert (row.state, BidEnvelope.objects.count()) == (QueuedState.WITHDRAWN, 0)
    connection.close()
