"""What a run reckons: learnt once from the whole book, then every part scored by itself with what was learnt.

Imported by tasks and commands only: numpy and scipy stay out of the web processes.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from time import perf_counter
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from analytics.features import rollup_history
from analytics.features.rollup_history import Bought, Frame, Part
from analytics.models import Book, DayRollup, RunModel, RunPartition, ScoringRun
from analytics.queries import soundness
from analytics.rules import growth, protocol, recovery, remarks
from analytics.rules.growth import GrowthModel
from analytics.rules.history import NONE, History
from analytics.rules.recovery import RecoveryModel
from analytics.services import contract_history, loading, runs

_log = logging.getLogger(__name__)
Now = Callable[[], datetime]

#: Things suggested to an account, of each kind.
TOP: Final = 10


def learn(run_id: int, now: Now) -> None:
    """Fit the models on the whole book and share its accounts out; who finds it taken does nothing."""
    run = runs.take_learning(run_id, at=now())
    if run is None:
        return
    begun = perf_counter()
    try:
        done = contract_history.refresh(run.book_id, at=now())
        if done is not None and done.new > loading.HANDFUL:
            loading.analyse()
        learnt = _learnt(run, now())
    except SoftTimeLimitExceeded:
        runs.could_not_learn(run, runs.LEARNING_TOO_LONG, at=now())
        return
    except Exception:  # noqa: BLE001 – whatever broke, the scores before stand and the page says so
        _log.exception("The run %s could not be learnt for", run.pk)
        runs.could_not_learn(run, runs.LEARNING_FAILED, at=now())
        return
    if learnt is None:
        runs.could_not_learn(run, runs.NO_PURCHASES, at=now())
        return
    run.facts["seconds_learning"] = round(perf_counter() - begun, 1)
    runs.learnt(run, learnt, accounts=run.facts["accounts"], at=now())


def score_part(part_id: int, now: Now) -> None:
    """Score the accounts of a part and put its scores down, once; then see whether the run is whole."""
    part = runs.take_part(part_id, at=now())
    if part is not None:
        try:
            _score(part, now)
        except SoftTimeLimitExceeded:
            runs.part_failed(part, _("It took too long and was broken off."), at=now())
        except Exception as error:  # noqa: BLE001 – one part's failure is its own
            _log.exception("The part %s of run %s could not be scored", part.number, part.run_id)
            runs.part_failed(part, f"{type(error).__name__}: {error}", at=now())
    run_id = RunPartition.objects.filter(pk=part_id).values_list("run_id", flat=True).first()
    if run_id is not None:
        runs.conclude(run_id, at=now())


# Learning


def _learnt(run: ScoringRun, at: datetime) -> RunModel | None:
    """What the run learnt, and what it is about in `run.facts`; None where the book has no purchases."""
    book = Book.objects.get(pk=run.book_id)
    run.currency = book.currency
    until = (at - timedelta(days=1)).date()
    held = soundness.outline(book, book.currency)
    # Purchases may be dated a day ahead, or of today.
    held = replace(held, days=[day for day in held.days if day <= until])
    run.cutoff = remarks.as_of(held.days, until)
    odd = remarks.of_history(held, until, horizon=run.horizon, own_until=soundness.own_until(book))
    run.facts = {
        "other_currencies": _other_currencies(book, run.cutoff),
        "remarks": [remark.as_json() for remark in odd],
    }
    frame = rollup_history.frame_of(book, run.currency, run.cutoff)
    if frame is None:
        return None
    moved = _moved_on(run)
    history, accounts = rollup_history.history(book, run.currency, run.cutoff, frame, without=moved)
    cutoff = history.day_of(run.cutoff)
    of_recovery = recovery.fit(history, cutoff, horizon=run.horizon, seed=run.seed)
    of_growth = (
        growth.fit(history, cutoff, horizon=run.horizon, seed=run.seed) if frame.categories or frame.items else None
    )
    run.facts |= {
        "accounts": len(accounts) + len(moved),
        "moved_on": len(moved),
        "categories": len(frame.categories),
        "items": len(frame.items),
        "purchase_days": len(history),
        "first_day": frame.first_day.isoformat(),
        "recovery_fallback": of_recovery.fallback,
        "growth_fallback": of_growth.fallback if of_growth else "",
    }
    return RunModel(
        recovery=json.loads(of_recovery.to_json()),
        growth=of_growth.to_bytes() if of_growth else None,
        categories=list(frame.categories),
        items=list(frame.items),
        first_day=frame.first_day,
    )


def _other_currencies(book: Book, until: date) -> dict[str, str]:
    """Money that is not scored, by its currency."""
    others = DayRollup.objects.filter(book=book, day__lte=until).exclude(currency=book.currency)
    sums = others.order_by().values("currency").annotate(sum=Sum("amount")).order_by("currency")
    return {row["currency"]: f"{row['sum']:f}" for row in sums}


def _moved_on(run: ScoringRun) -> list[int]:
    """Accounts that buy in another currency now."""
    return rollup_history.moved_on(run.book, run.currency, list(run.facts["other_currencies"]), run.cutoff)


# Scoring


def _score(part: RunPartition, now: Now) -> None:
    run, model = part.run, part.run.model
    assert model.first_day is not None
    frame = Frame(tuple(model.categories), tuple(model.items), model.first_day)
    of = RunPartition.objects.filter(run=run).count()
    history, accounts = rollup_history.history(
        run.book, run.currency, run.cutoff, frame, Part(part.number, of), without=_moved_on(run)
    )
    elsewhere = rollup_history.bought_elsewhere(run.book, list(run.facts["other_currencies"]), run.cutoff, accounts)
    rows = _Rows(run, frame, history, accounts, elsewhere)
    of_recovery = recovery.score(RecoveryModel.from_json(json.dumps(model.recovery)), history, rows.cutoff)
    of_growth = None
    if model.growth is not None:
        silent = of_recovery.accounts
        orders = growth.chance_of_ordering(silent.account, silent.p, len(history.accounts))
        learnt = GrowthModel.from_bytes(bytes(model.growth))
        of_growth = growth.score(learnt, history, rows.cutoff, top=TOP, orders=orders)
    with transaction.atomic():
        loading.end_when_left()
        if not runs.still_mine(part):
            return
        _copy("accountscore", _ACCOUNT_COLUMNS, rows.accounts(of_recovery.accounts))
        _copy("categoryscore", _CATEGORY_COLUMNS, rows.pairs(of_recovery.pairs))
        if of_growth is not None:
            _copy("growthscore", _GROWTH_COLUMNS, rows.suggestions(of_growth))
        unscored = protocol.unscored(history, of_recovery.accounts.account, rows.cutoff)
        runs.part_done(part, len(accounts), unscored, at=now())


_COMMON: Final = ("p", "expected_amount", "survival", "suppressed", "reasons", "evidence")
_ACCOUNT_COLUMNS: Final = ("run_id", "account_id", *_COMMON)
_CATEGORY_COLUMNS: Final = ("run_id", "account_id", "category_id", *_COMMON)
_GROWTH_COLUMNS: Final = (
    *("run_id", "account_id", "item_id", "category_id", "rank", "score", "expected_amount", "quantity", "evidence"),
)


class _Rows:
    """Scores as rows of their tables: codes become ids, arrays plain values."""

    def __init__(self, run: ScoringRun, frame: Frame, history: History, accounts: list[int], elsewhere: Bought) -> None:
        self.run, self.frame, self.history, self.ids, self.elsewhere = run, frame, history, accounts, elsewhere
        self.cutoff = history.day_of(run.cutoff)

    def accounts(self, scores: recovery.Scores) -> Iterator[tuple[Any, ...]]:
        for row, account in enumerate(scores.account.tolist()):
            yield self.run.pk, self.ids[account], *self._common(scores, row)

    def pairs(self, scores: recovery.Scores) -> Iterator[tuple[Any, ...]]:
        codes = zip(scores.account.tolist(), scores.category.tolist(), strict=True)
        for row, (account, category) in enumerate(codes):
            if category != NONE:
                yield self.run.pk, self.ids[account], self.frame.categories[category], *self._common(scores, row)

    def _common(self, scores: recovery.Scores, row: int) -> tuple[Any, ...]:
        evidence = {
            "gap": round(float(scores.usual_gap[row]), 1),
            "silent": int(scores.silence[row]),
            "orders": int(scores.orders[row]),
            "amount": round(float(scores.usual_amount[row]), 2),
            "last": self.history.date_of(int(scores.last_day[row])).isoformat(),
            "judged": bool(scores.judged[row]),
        }
        return (
            float(scores.p[row]),
            f"{float(scores.expected_amount[row]):.2f}",
            float(scores.survival[row]),
            bool(scores.suppressed[row]),
            [str(reason) for reason in scores.reason_codes(row)],
            json.dumps(evidence),
        )

    def suggestions(self, scores: growth.GrowthScores) -> Iterator[tuple[Any, ...]]:
        for found, things in ((scores.items, self.frame.items), (scores.categories, self.frame.categories)):
            if found is None:
                continue
            of_items = found is scores.items
            known = self.elsewhere.items if of_items else self.elsewhere.categories
            ranks: Counter[int] = Counter()
            for row, account in enumerate(found.account.tolist()):
                thing = things[int(found.code[row])]
                if (self.ids[account], thing) in known:
                    continue  # bought before, in a currency that is not scored
                ranks[account] += 1
                chance = float(found.score[row])
                yield (
                    self.run.pk,
                    self.ids[account],
                    thing if of_items else None,
                    None if of_items else thing,
                    ranks[account],
                    chance,
                    f"{float(found.expected_amount[row]) / chance:.2f}",
                    None if math.isnan(found.quantity[row]) else float(found.quantity[row]),
                    json.dumps(self._speaks_for(scores, found, row, things)),
                )

    def _speaks_for(
        self, scores: growth.GrowthScores, found: growth.GrowthList, row: int, things: tuple[int, ...]
    ) -> dict[str, Any]:
        profile, because = int(found.profile[row]), int(found.because[row])
        evidence: dict[str, Any] = {"p": round(float(found.score[row]), 4)}
        if profile != NONE:
            evidence |= {"share": round(float(found.share[row]), 4), "profile": scores.profiles[profile].size}
        if because != NONE:
            evidence["because"] = things[because]
        if int(found.pack[row]) > 1:
            evidence["pack"] = int(found.pack[row])
        return evidence


def _copy(table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY analytics_{table} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
