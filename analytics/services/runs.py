"""Runs over a book: started by night or by its manager, shared out among workers, shown when they are whole.

Nothing here reckons (that is `scoring`): here is who may take what, what becomes of what was dropped, and when a run's
scores take the place of those before. What a worker takes it has for the time of a lease; if it dies, another takes it.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from analytics import permissions
from analytics.models import (
    RUN_OPEN,
    AccountScore,
    Book,
    CategoryScore,
    DayRollup,
    GrowthScore,
    PartState,
    RunModel,
    RunPartition,
    RunState,
    ScoringRun,
)
from analytics.queries import sellers
from analytics.services import card_making, contract_history
from analytics.services.transitions import move_part, move_run
from marketplace import audit
from marketplace.permissions import Actor, person_of
from marketplace.services.notifications import notify
from marketplace.shared import jobs
from marketplace.shared.errors import DomainError, NotFound

_log = logging.getLogger(__name__)

TRIES: Final = 3
#: What was sent to the queue is sent again where nothing was taken for so long.
RESENT_AFTER: Final = timedelta(minutes=2)
#: The job that makes the cards is at work no longer than that, and is sent again where they are not made by then.
CARDS_LOST_AFTER: Final = timedelta(minutes=15)
MOST_PARTS: Final = 128

NO_PURCHASES: Final = "no_purchases"
LEARNING_FAILED: Final = "learning_failed"
LEARNING_TOO_LONG: Final = "learning_too_long"
PARTS_FAILED: Final = "parts_failed"


class RunNotFailed(DomainError):
    code = "run_not_failed"
    sentence = _("Only parts that failed are tried again, and only of the newest run.")


def learning_lease() -> timedelta:
    """How long a worker has a run to learn for it. Its task ends before, so that two never have it at once."""
    return timedelta(seconds=settings.INSIGHTS_LEARNING_SECONDS)


def part_lease() -> timedelta:
    """How long a worker has a part to score it. Its task ends before."""
    return timedelta(seconds=settings.INSIGHTS_PART_SECONDS)


# Started


@transaction.atomic
def start(book: Book, *, by: Actor, at: datetime) -> ScoringRun:
    """A run begun by the book's manager; the one that is open already, where there is one. Raises ManagerOnly."""
    permissions.require_manager(by, book)
    return _begin(book.pk, at, by)


def start_due(*, at: datetime) -> int:
    """Begin the night's run of every book that has purchases and none since the last due time. Returns how many.

    A book without purchases is looked through for contracts once a night only.
    """
    since = due_time(at)
    fresh = ScoringRun.objects.filter(book=OuterRef("pk"), created_at__gte=since)
    bought = DayRollup.objects.filter(book=OuterRef("pk"))
    waiting = Book.objects.filter(~Exists(fresh)).filter(Q(empty_at=None) | Q(empty_at__lt=since) | Exists(bought))
    begun = 0
    for book in waiting.order_by("pk"):
        try:
            begun += _begin_due(book.pk, at, since)
        except Exception:  # noqa: BLE001 – one book's trouble is not that of the others
            _log.exception("The run of book %s could not be begun", book.pk)
    return begun


@transaction.atomic
def _begin_due(book_id: int, at: datetime, since: datetime) -> bool:
    """Whether a run was begun; a book that is being loaded is asked again a minute later."""
    free = Book.objects.select_for_update(no_key=True, skip_locked=True)
    book = free.filter(pk=book_id).first()
    if book is None:
        return False
    contract_history.refresh(book_id, at=at)
    if not DayRollup.objects.filter(book=book_id).exists():
        book.empty_at = at
        book.save(update_fields=["empty_at"])
        return False
    return _begin(book_id, at, None, since=since).created_at == at


def due_time(at: datetime) -> datetime:
    """The last moment at which the nightly runs were due: INSIGHTS_HOUR o'clock UTC."""
    today = at.replace(hour=settings.INSIGHTS_HOUR, minute=0, second=0, microsecond=0)
    return today if today <= at else today - timedelta(days=1)


def _begin(book_id: int, at: datetime, by: Actor | None, since: datetime | None = None) -> ScoringRun:
    book = Book.objects.select_for_update(no_key=True).get(pk=book_id)
    standing = Q(state__in=RUN_OPEN)
    if since is not None:
        standing |= Q(created_at__gte=since)
    found = ScoringRun.objects.filter(standing, book=book).first()
    if found is not None:
        return found
    run = ScoringRun.objects.create(
        book=book,
        cutoff=(at - timedelta(days=1)).date(),
        currency=book.currency,
        asked_by=person_of(by) if by else None,
        created_at=at,
    )
    audit.record("scoring.started", run, by=by, at=at, stream=f"book:{book.pk}")
    jobs.enqueue("analytics.tasks.learn", run.pk)
    return run


# Learning


@transaction.atomic
def take_learning(run_id: int, *, at: datetime) -> ScoringRun | None:
    """The run, to learn for it; None where somebody is at it, or it is past that."""
    run = ScoringRun.objects.select_for_update(of=("self",)).select_related("book").filter(pk=run_id).first()
    if run is None or run.state not in (RunState.WAITING, RunState.LEARNING):
        return None
    if run.state == RunState.LEARNING and run.lease_until is not None and run.lease_until > at:
        return None
    if run.tries >= TRIES:
        _fail(run, LEARNING_FAILED, at)
        return None
    move_run(run, RunState.LEARNING)
    run.started_at = run.started_at or at
    run.lease_until, run.tries = at + learning_lease(), run.tries + 1
    run.save(update_fields=["state", "started_at", "lease_until", "tries"])
    return run


@transaction.atomic
def learnt(run: ScoringRun, model: RunModel, *, accounts: int, at: datetime) -> bool:
    """Keep what was learnt and share the accounts out; False where the lease had passed to somebody else."""
    mine = ScoringRun.objects.select_for_update().get(pk=run.pk)
    if mine.state != RunState.LEARNING or mine.tries != run.tries:
        return False
    model.run = mine
    model.save(force_insert=True)
    parts = min(MOST_PARTS, max(1, -(-accounts // settings.INSIGHTS_PART_ACCOUNTS)))
    RunPartition.objects.bulk_create([RunPartition(run=mine, number=number) for number in range(parts)])
    move_run(mine, RunState.SCORING)
    mine.cutoff, mine.currency, mine.facts = run.cutoff, run.currency, run.facts
    mine.fitted_at, mine.lease_until = at, None
    mine.save(update_fields=["state", "cutoff", "currency", "facts", "fitted_at", "lease_until"])
    for part_id in RunPartition.objects.filter(run=mine).values_list("pk", flat=True):
        jobs.enqueue("analytics.tasks.score_part", part_id)
    return True


@transaction.atomic
def could_not_learn(run: ScoringRun, code: str, *, at: datetime) -> None:
    """There is nothing to learn from, or learning broke: the scores of the run before stand."""
    mine = ScoringRun.objects.select_for_update().get(pk=run.pk)
    if mine.state == RunState.LEARNING and mine.tries == run.tries:
        mine.facts = run.facts
        _fail(mine, code, at)


def _fail(run: ScoringRun, code: str, at: datetime) -> None:
    move_run(run, RunState.FAILED)
    run.error, run.finished_at, run.lease_until = code, at, None
    run.save(update_fields=["state", "error", "facts", "finished_at", "lease_until"])
    if code == NO_PURCHASES:
        return
    words = _("The new scores could not be made; those of before are shown until they can. Look at the run.")
    for manager in sellers.managers(run.book):
        notify(manager, "run_failed", words, reverse("insights_run", args=[run.pk]), at=at)


# Parts


@transaction.atomic
def take_part(part_id: int, *, at: datetime) -> RunPartition | None:
    """The part, to score it; None where somebody is at it, it is done, or its run is over."""
    part = (
        RunPartition.objects.select_for_update(of=("self",))
        .select_related("run__book", "run__model")
        .filter(pk=part_id, run__state=RunState.SCORING)
        .first()
    )
    if part is None or part.state not in (PartState.WAITING, PartState.RUNNING):
        return None
    if part.state == PartState.RUNNING and part.lease_until is not None and part.lease_until > at:
        return None
    if part.tries >= TRIES:
        move_part(part, PartState.FAILED)
        part.error, part.finished_at, part.lease_until = str(_("The workers that took it were lost.")), at, None
        part.save(update_fields=["state", "error", "finished_at", "lease_until"])
        return None
    move_part(part, PartState.RUNNING)
    part.lease_until, part.tries, part.started_at = at + part_lease(), part.tries + 1, at
    part.save(update_fields=["state", "lease_until", "tries", "started_at"])
    return part


def still_mine(part: RunPartition) -> bool:
    """Whether nobody else took the part since; locks it, so call it in the transaction that writes its scores."""
    mine = RunPartition.objects.select_for_update().get(pk=part.pk)
    return mine.state == PartState.RUNNING and mine.tries == part.tries


def part_done(part: RunPartition, accounts: int, unscored: dict[str, int], *, at: datetime) -> None:
    """In the transaction that wrote the scores, after `still_mine`. `unscored`: see protocol.unscored."""
    move_part(part, PartState.DONE)
    part.accounts, part.finished_at, part.lease_until, part.error = accounts, at, None, ""
    part.unscored = unscored
    part.save(update_fields=["state", "accounts", "unscored", "finished_at", "lease_until", "error"])


@transaction.atomic
def part_failed(part: RunPartition, error: str, *, at: datetime) -> None:
    """It broke: tried again by itself, this part alone; after the last try the run waits for somebody to look."""
    if not still_mine(part):
        return
    part.error, part.lease_until = error[:2000], None
    if part.tries < TRIES:
        move_part(part, PartState.WAITING)
        jobs.enqueue("analytics.tasks.score_part", part.pk)
    else:
        move_part(part, PartState.FAILED)
        part.finished_at = at
    part.save(update_fields=["state", "error", "lease_until", "finished_at"])


@transaction.atomic
def conclude(run_id: int, *, at: datetime) -> bool:
    """If all parts are done, show the run's scores in place of those before; if some failed for good, say so.

    Safe to repeat; parts that end at once wait here for each other.
    """
    if RunPartition.objects.filter(run=run_id, state__in=[PartState.WAITING, PartState.RUNNING]).exists():
        return False  # asked again under the lock, which is not waited for while parts are at work
    book_id = ScoringRun.objects.values_list("book_id", flat=True).get(pk=run_id)
    book = Book.objects.select_for_update(no_key=True).get(pk=book_id)
    run = ScoringRun.objects.select_for_update().get(pk=run_id)
    if run.state != RunState.SCORING:
        return False
    states = set(RunPartition.objects.filter(run=run).values_list("state", flat=True))
    if states & {PartState.WAITING.value, PartState.RUNNING.value}:
        return False
    if PartState.FAILED.value in states:
        _fail(run, PARTS_FAILED, at)
        return False
    move_run(run, RunState.WHOLE)
    run.finished_at, run.error = at, ""
    run.save(update_fields=["state", "finished_at", "error"])
    if book.run_id is None or book.run_id < run.pk:
        book.run = run
        book.save(update_fields=["run"])
        jobs.enqueue("analytics.tasks.refresh_cards", run.pk)
    audit.record("scoring.whole", run, by=None, at=at, stream=f"book:{book.pk}")
    return True


@transaction.atomic
def retry(book: Book, run_id: int, *, by: Actor, at: datetime) -> ScoringRun:
    """Try the failed parts again, and only those. Raises ManagerOnly, NotFound, RunNotFailed."""
    permissions.require_manager(by, book)
    Book.objects.select_for_update(no_key=True).get(pk=book.pk)
    run = ScoringRun.objects.select_for_update().filter(book=book, pk=run_id).first()
    if run is None:
        raise NotFound
    newer = ScoringRun.objects.filter(book=book, pk__gt=run.pk).exists()
    failed = list(RunPartition.objects.select_for_update().filter(run=run, state=PartState.FAILED))
    if run.state != RunState.FAILED or newer or not failed:
        raise RunNotFailed
    for part in failed:
        move_part(part, PartState.WAITING)
        part.tries = 0
        part.save(update_fields=["state", "tries"])
        jobs.enqueue("analytics.tasks.score_part", part.pk)
    move_run(run, RunState.SCORING)
    run.error, run.finished_at = "", None
    run.save(update_fields=["state", "error", "finished_at"])
    audit.record("scoring.retried", run, by=by, at=at, stream=f"book:{book.pk}", parts=len(failed))
    return run


@transaction.atomic
def make_cards(run_id: int, *, at: datetime) -> bool:
    """Make the cards of a run that is shown; whether this call did. A job, which may be sent more than once."""
    book_id = ScoringRun.objects.values_list("book_id", flat=True).get(pk=run_id)
    book = Book.objects.select_for_update(no_key=True).get(pk=book_id)
    if book.run_id != run_id or ScoringRun.objects.filter(pk=run_id, cards_at__isnull=False).exists():
        return False
    card_making.refresh(run_id, at=at)
    ScoringRun.objects.filter(pk=run_id).update(cards_at=at)
    return True


# Swept


def sweep(*, at: datetime) -> None:
    """Send again what a worker dropped or the queue lost, and conclude runs whose last worker died before it did."""
    without_cards = Book.objects.filter(run__cards_at=None, run__finished_at__lte=at - CARDS_LOST_AFTER)
    for run_id in without_cards.order_by("pk").values_list("run", flat=True):
        jobs.enqueue("analytics.tasks.refresh_cards", run_id)
    for run in ScoringRun.objects.filter(state__in=[RunState.WAITING, RunState.LEARNING]):
        lost = run.lease_until is not None and run.lease_until <= at
        if lost or (run.state == RunState.WAITING and run.created_at <= at - RESENT_AFTER):
            jobs.enqueue("analytics.tasks.learn", run.pk)
    for run in ScoringRun.objects.filter(state=RunState.SCORING):
        if not conclude(run.pk, at=at):
            _send_again(run, at)


def _send_again(run: ScoringRun, at: datetime) -> None:
    """Parts whose lease is over; where no worker took any for a while, all that wait: the queue has lost them."""
    last = run.partitions.aggregate(taken=Max("started_at"))["taken"] or run.fitted_at
    lost = Q(state=PartState.RUNNING, lease_until__lte=at)
    if last is None or last <= at - RESENT_AFTER:
        lost |= Q(state=PartState.WAITING)
    for part_id in run.partitions.filter(lost).order_by("pk").values_list("pk", flat=True):
        jobs.enqueue("analytics.tasks.score_part", part_id)


def drop_old_scores(*, at: datetime) -> int:
    """Drop the scores of runs that are neither shown nor the one before. Returns of how many runs."""
    dropped = 0
    for book in Book.objects.exclude(run=None):
        whole = ScoringRun.objects.filter(book=book, state=RunState.WHOLE, pk__lte=book.run_id)
        kept = list(whole.order_by("-pk").values_list("pk", flat=True)[:2])
        old = ScoringRun.objects.filter(book=book, pk__lt=book.run_id, scores_dropped_at=None)
        for run in old.exclude(pk__in=kept).exclude(state__in=RUN_OPEN):
            with transaction.atomic():
                for model in (AccountScore, CategoryScore, GrowthScore, RunModel):
                    model.objects.filter(run=run).delete()
                run.scores_dropped_at = at
                run.save(update_fields=["scores_dropped_at"])
            dropped += 1
    return dropped
