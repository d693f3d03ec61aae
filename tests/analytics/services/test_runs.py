"""Runs over a book on PostgreSQL: learnt once, scored in parts, shown when whole; what workers drop is taken again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.test import override_settings
from django.urls import reverse

from analytics.features import rollup_history
from analytics.features.rollup_history import Part
from analytics.models import (
    Account,
    AccountScore,
    Book,
    Card,
    CategoryScore,
    GrowthScore,
    PartState,
    RunPartition,
    RunState,
    ScoringRun,
)
from analytics.permissions import ManagerOnly, book_for
from analytics.queries import runs as queries
from analytics.services import runs, scoring
from analytics.services.runs import RunNotFailed
from marketplace.models import StaffRole
from marketplace.permissions import Actor
from marketplace.shared import jobs
from tests.factories.marketplace import accredited_supplier, staff
from tests.factories.purchases import loaded, row

NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)
LAST = date(2026, 3, 1)
SCORES = (AccountScore, CategoryScore, GrowthScore)


def filled(book: Book) -> Book:
    """Forty accounts that buy weekly to monthly for a year, a few of which stopped; eight categories, now a new one."""
    rows = []
    for account in range(40):
        every = 7 + account % 5 * 5
        silent = 70 if account % 8 == 0 else 0
        for number, back in enumerate(range(silent + account % 3, 380, every)):
            category, order = (account + number) % 3 + account % 6, f"{account}-{number}"
            thing = {"item": f"i{category}{number % 2}", "category": f"c{category}"}
            rows.append(row(f"A{account:02}", order, LAST - timedelta(days=back), str(20 + account), **thing))
        if account % 4 == 1:  # lately something new is bought
            day = LAST - timedelta(days=30 + account)
            rows.append(row(f"A{account:02}", f"{account}-new", day, "30", item="new", category="new"))
    loaded(book, rows)
    book.currency = "EUR"
    book.save(update_fields=["currency"])
    return book


@pytest.fixture
def book(db: None) -> Book:
    return filled(book_for(None))


@pytest.fixture
def manager(db: None) -> Actor:
    return staff(StaffRole.SALES_MANAGER)


def at(moment: datetime = NIGHT) -> Callable[[], datetime]:
    return lambda: moment


def started(book: Book, manager: Actor, parts: int = 3, moment: datetime = NIGHT) -> ScoringRun:
    """A run that has learnt and waits for its parts."""
    with override_settings(INSIGHTS_PART_ACCOUNTS=-(-40 // parts)), jobs.discarded():
        run = runs.start(book, by=manager, at=moment)
        scoring.learn(run.pk, at(moment))
    run.refresh_from_db()
    return run


def parts_of(run: ScoringRun) -> list[RunPartition]:
    return list(run.partitions.order_by("number"))


def scores(run: ScoringRun) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for model in SCORES:
        names = [f.attname for f in model._meta.concrete_fields if f.attname not in ("id", "run_id")]
        found += sorted(map(repr, model.objects.filter(run=run).values_list(*names)))
    return found


def test_the_rollup_reads_as_it_was_written_whole_and_in_parts(book: Book) -> None:
    frame = rollup_history.frame_of(book, "EUR", LAST)
    assert frame is not None
    whole, ids = rollup_history.history(book, "EUR", LAST, frame)
    assert (len(ids), len(whole.categories), len(whole.items)) == (40, 9, 17)
    assert whole.date_of(whole.last_day) == LAST
    assert float(whole.amount.sum()) == float(sum(book_amounts(book)))
    pieces = [rollup_history.history(book, "EUR", LAST, frame, Part(number, 4)) for number in range(4)]
    assert sorted(pk for _history, pks in pieces for pk in pks) == ids
    assert all(piece.first_day == whole.first_day and piece.items == whole.items for piece, _pks in pieces)
    for piece, pks in pieces:
        of_whole = whole.of_accounts(np.array([ids.index(pk) for pk in pks], dtype=np.int32))
        assert np.array_equal(piece.day, of_whole.day)
        assert np.array_equal(piece.amount, of_whole.amount)


def book_amounts(book: Book) -> list[object]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT amount FROM analytics_itemday WHERE book_id = %s", [book.pk])
        return [amount for (amount,) in cursor.fetchall()]


def test_a_run_in_parts_finds_what_a_run_in_one_finds_and_is_shown_when_whole(book: Book, manager: Actor) -> None:
    one = started(book, manager, parts=1)
    assert (one.state, one.cutoff, one.facts["accounts"]) == (RunState.SCORING, LAST, 40)
    scoring.score_part(parts_of(one)[0].pk, at())
    one.refresh_from_db()
    book.refresh_from_db()
    assert (one.state, book.run) == (RunState.WHOLE, one)
    assert AccountScore.objects.filter(run=one).exists()
    assert CategoryScore.objects.filter(run=one).exists()
    assert GrowthScore.objects.filter(run=one, item=None).exists()
    stopped = AccountScore.objects.get(run=one, account__external_id="A08")
    steady = AccountScore.objects.get(run=one, account__external_id="A05")
    assert stopped.p > steady.p
    assert (stopped.evidence["silent"], stopped.evidence["last"]) == (72, "2025-12-19")

    several = started(book, manager, parts=3)
    first, *others = parts_of(several)
    scoring.score_part(first.pk, at())
    scoring.score_part(first.pk, at())  # sent twice: done once
    book.refresh_from_db()
    assert book.run == one, "the last whole scores stay until the new ones are whole"
    for part in others:
        scoring.score_part(part.pk, at())
    book.refresh_from_db()
    assert book.run == several
    assert [part.state for part in parts_of(several)] == [PartState.DONE] * 3
    assert scores(several) == scores(one)


def test_what_was_bought_in_another_currency_is_neither_silence_nor_new(book: Book, manager: Actor) -> None:
    def scored(night: int) -> ScoringRun:
        run = started(book, manager, parts=1, moment=NIGHT + timedelta(hours=night))
        scoring.score_part(parts_of(run)[0].pk, at(NIGHT + timedelta(hours=night)))
        run.refresh_from_db()
        return run

    before = scored(1)
    silent = AccountScore.objects.filter(run=before, account__external_id="A08").get()
    assert silent.evidence["silent"] == 72
    first = GrowthScore.objects.filter(run=before, rank=1).exclude(item=None).exclude(account=silent.account).first()
    assert first is not None
    thing = {"item": first.item.code, "category": first.item.category.code, "currency": "USD"}  # type: ignore[union-attr]
    loaded(book, [
        row("A08", "usd-1", LAST - timedelta(days=9), "90", item="i00", category="c0", currency="USD"),
        row(first.account.external_id, "usd-2", LAST - timedelta(days=200), "90", **thing),
    ])  # fmt: skip
    after = scored(2)
    assert (after.facts["accounts"], after.facts["moved_on"]) == (40, 1)
    assert queries.unscored(after)["buys_in_another_currency"] == 1
    left = [set(run.account_scores.values_list("account", flat=True)) for run in (before, after)]
    assert left[0] - left[1] == {silent.account_id}
    suggested = GrowthScore.objects.filter(run=after, account=first.account, item__isnull=False).order_by("rank")
    assert first.item_id not in suggested.values_list("item", flat=True)
    assert list(suggested.values_list("rank", flat=True)) == list(range(1, suggested.count() + 1))


def test_a_part_that_fails_is_tried_again_alone(book: Book, manager: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(book, manager)
    broken, *others = parts_of(run)
    with monkeypatch.context() as patch:
        patch.setattr(scoring.recovery, "score", lambda *_: 1 / 0)
        for _try in range(runs.TRIES):
            scoring.score_part(broken.pk, at())
    for part in others:
        scoring.score_part(part.pk, at())
    run.refresh_from_db()
    book.refresh_from_db()
    assert (run.state, run.error, book.run) == (RunState.FAILED, runs.PARTS_FAILED, None)
    assert manager.person is not None
    assert [told.url for told in manager.person.notifications.all()] == [reverse("insights_run", args=[run.pk])]
    before = {part.pk: part.finished_at for part in parts_of(run)[1:]}
    assert parts_of(run)[0].error == "ZeroDivisionError: division by zero"

    with pytest.raises(ManagerOnly):
        runs.retry(book, run.pk, by=staff(StaffRole.REPRESENTATIVE), at=NIGHT)
    runs.retry(book, run.pk, by=manager, at=NIGHT)
    later = NIGHT + timedelta(hours=1)
    scoring.score_part(broken.pk, at(later))
    run.refresh_from_db()
    book.refresh_from_db()
    assert (run.state, book.run) == (RunState.WHOLE, run)
    assert {part.pk: part.finished_at for part in parts_of(run)[1:]} == before
    with pytest.raises(RunNotFailed):
        runs.retry(book, run.pk, by=manager, at=later)


def test_who_learns_has_the_run_for_the_time_of_the_lease(book: Book, manager: Actor) -> None:
    run = runs.start(book, by=manager, at=NIGHT)
    assert runs.start(book, by=manager, at=NIGHT) == run
    taken = runs.take_learning(run.pk, at=NIGHT)
    assert taken is not None
    assert runs.take_learning(run.pk, at=NIGHT + timedelta(minutes=5)) is None
    again = runs.take_learning(run.pk, at=NIGHT + runs.learning_lease())
    assert again is not None
    runs.could_not_learn(taken, runs.NO_PURCHASES, at=NIGHT)  # the first one wakes up: it has no say any more
    run.refresh_from_db()
    assert (run.state, run.tries) == (RunState.LEARNING, 2)


def test_the_night_begins_once_for_every_book_with_purchases(book: Book, settings: Any) -> None:
    settings.INSIGHTS_HOUR = 1
    Book.objects.create(owner=accredited_supplier())  # nothing bought: nothing to score
    assert runs.due_time(NIGHT.replace(hour=0)) == datetime(2026, 3, 1, 1, tzinfo=UTC)
    assert (runs.start_due(at=NIGHT), runs.start_due(at=NIGHT + timedelta(hours=1))) == (1, 0)
    run = ScoringRun.objects.get()
    assert (run.book, run.asked_by) == (book, None)
    ScoringRun.objects.update(state=RunState.FAILED)
    assert runs.start_due(at=NIGHT + timedelta(hours=12)) == 0
    assert runs.start_due(at=NIGHT + timedelta(days=1)) == 1


def test_a_book_without_purchases_is_looked_through_once_a_night(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = book_for(None)
    looked: list[int] = []
    monkeypatch.setattr(runs.contract_history, "refresh", lambda book_id, *, at: looked.append(book_id))
    for minutes in (0, 1, 2):
        assert runs.start_due(at=NIGHT + timedelta(minutes=minutes)) == 0
    assert looked == [empty.pk]
    filled(empty)
    assert runs.start_due(at=NIGHT + timedelta(minutes=3)) == 1  # the first purchases are scored at once


def test_what_takes_too_long_is_broken_off_and_says_so(
    book: Book, manager: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(*_: object, **__: object) -> None:
        raise SoftTimeLimitExceeded

    run = started(book, manager, parts=1)
    monkeypatch.setattr(scoring.recovery, "score", too_long)
    for _try in range(runs.TRIES):
        scoring.score_part(parts_of(run)[0].pk, at())
    part = parts_of(run)[0]
    assert (part.state, part.error) == (PartState.FAILED, "It took too long and was broken off.")

    monkeypatch.setattr(scoring.recovery, "fit", too_long)
    with jobs.discarded():
        another = runs.start(book, by=manager, at=NIGHT + timedelta(hours=1))
    scoring.learn(another.pk, at(NIGHT + timedelta(hours=1)))
    another.refresh_from_db()
    assert (another.state, another.error) == (RunState.FAILED, runs.LEARNING_TOO_LONG)


def test_waiting_parts_are_sent_again_only_where_no_worker_takes_any(
    book: Book, manager: Actor, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    run = started(book, manager, parts=3)
    assert runs.take_part(parts_of(run)[0].pk, at=NIGHT + timedelta(minutes=3)) is not None

    def sent(minutes: float) -> int:
        with django_capture_on_commit_callbacks() as callbacks:
            runs.sweep(at=NIGHT + timedelta(minutes=minutes))
        return len(callbacks)

    assert [sent(minutes) for minutes in (4, 5, 8)] == [0, 2, 3]  # at last the one that was taken, too


def test_the_cards_of_a_run_are_made_once_also_where_their_job_was_lost(
    book: Book, manager: Actor, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    run = started(book, manager, parts=1)
    with jobs.discarded():
        scoring.score_part(parts_of(run)[0].pk, at())

    def sent(minutes: float) -> int:
        with django_capture_on_commit_callbacks() as callbacks:
            runs.sweep(at=NIGHT + timedelta(minutes=minutes))
        return len(callbacks)

    assert [sent(14), sent(15), Card.objects.count()] == [0, 1, 0]
    assert runs.make_cards(run.pk, at=NIGHT + timedelta(minutes=16))
    assert Card.objects.filter(run=run).exists()
    assert not runs.make_cards(run.pk, at=NIGHT + timedelta(minutes=17))
    assert sent(60) == 0


def test_a_book_without_purchases_has_no_scores_and_says_so(db: None, manager: Actor) -> None:
    run = runs.start(book_for(None), by=manager, at=NIGHT)
    scoring.learn(run.pk, at())
    run.refresh_from_db()
    assert (run.state, run.error) == (RunState.FAILED, runs.NO_PURCHASES)


@pytest.mark.parametrize("orders", [1, 4])
def test_a_book_with_next_to_nothing_is_scored_without_a_fuss(db: None, manager: Actor, orders: int) -> None:
    book = book_for(None)
    loaded(book, [row("A", str(n), LAST - timedelta(days=n)) for n in range(orders)])
    book.currency = "EUR"
    book.save(update_fields=["currency"])
    run = started(book, manager)
    for part in parts_of(run):
        scoring.score_part(part.pk, at())
    run.refresh_from_db()
    assert run.state == RunState.WHOLE


def test_a_book_that_is_no_longer_told_of_purchases_is_scored_as_of_its_last_day(book: Book, manager: Actor) -> None:
    run = started(book, manager, moment=NIGHT + timedelta(days=200))
    said = {remark["code"]: remark for remark in run.facts["remarks"]}
    assert (run.cutoff, said["history_ends_before_what_could_be_foretold"]["last"]) == (LAST, LAST.isoformat())


def test_old_scores_go_and_the_two_newest_whole_runs_stay(book: Book) -> None:
    made = []
    for _night in range(3):
        run = ScoringRun.objects.create(book=book, state=RunState.WHOLE, cutoff=LAST, created_at=NIGHT)
        AccountScore.objects.create(run=run, account=book.accounts.all()[0], p=0.5, expected_amount=1)
        made.append(run)
    Book.objects.update(run=made[-1])
    assert (runs.drop_old_scores(at=NIGHT), runs.drop_old_scores(at=NIGHT)) == (1, 0)
    assert [AccountScore.objects.filter(run=run).exists() for run in made] == [False, True, True]


@pytest.mark.django_db(transaction=True)
def test_the_part_of_a_worker_that_was_killed_is_taken_again() -> None:
    """A worker dies by SIGKILL with half of its scores written: nothing of it is seen, and another does it all."""
    book = filled(book_for(None))
    run = started(book, staff(StaffRole.SALES_MANAGER), parts=1)
    part = parts_of(run)[0]
    reads, writes = os.pipe()
    worker = os.fork()
    if not worker:  # a process of its own; it computes nothing, as threads of the libraries do not outlive a fork
        try:
            connection.connection = None
            mine = runs.take_part(part.pk, at=NIGHT)
            with transaction.atomic():
                assert mine is not None
                assert runs.still_mine(mine)
                AccountScore.objects.create(run=run, account=Account.objects.all()[0], p=0.5, expected_amount=1)
                os.write(writes, b"half")
                signal.pause()
        finally:
            os._exit(1)
    os.close(writes)
    assert os.read(reads, 4) == b"half"
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    os.close(reads)

    part.refresh_from_db()
    assert (part.state, part.tries) == (PartState.RUNNING, 1)
    assert not AccountScore.objects.filter(run=run).exists()
    scoring.score_part(part.pk, at(NIGHT + timedelta(minutes=4)))  # the lease still runs
    part.refresh_from_db()
    assert part.tries == 1
    runs.sweep(at=NIGHT + runs.part_lease())  # in a test the job is carried out at once
    run.refresh_from_db()
    part.refresh_from_db()
    assert (run.state, part.state, part.tries) == (RunState.WHOLE, PartState.DONE, 2)
    assert AccountScore.objects.filter(run=run).exists()
