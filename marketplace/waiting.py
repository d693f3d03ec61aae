"""What the first page shows, gathered from every app without knowing them: each registers its providers when it starts.

    # procurement/apps.py
    def ready(self):
        waiting.register_tasks(queries.tenders.waiting_tasks)

A provider is asked with the actor and the time, and yields what concerns this actor: nothing where there is nothing.
It reads a bounded number of rows, whatever the size of the organisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from marketplace.shared.errors import Sentence

if TYPE_CHECKING:
    from marketplace.permissions import Actor

Tone = Literal["", "good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that waits for this person: "3 bids to open", where to do it, and until when."""

    text: Sentence
    url: str
    icon: str = "arrow-right"
    due_at: datetime | None = None
    # The zone the moment is shown in beside the reader's own.
    time_zone: str = ""
    note: Sentence = ""
    tone: Tone = ""
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the first page. `value` is a Money, a count or ready words; `url` opens what it is made of."""

    label: Sentence
    value: Any
    url: str = ""
    note: Sentence = ""
    icon: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a panel: what it is, where it leads, its state and its moment."""

    title: Sentence
    url: str
    number: str = ""
    note: Sentence = ""
    # A status value, shown with its words and tone.
    status: Any = None
    status_label: Sentence = ""
    at: datetime | None = None
    at_label: Sentence = ""
    time_zone: str = ""
    # A Money, a count, or ready words at the end of the line.
    figure: Any = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A short list of the first page: "Deadlines this week". Without rows it says what would be here and what to do."""

    key: str
    title: Sentence
    rows: Sequence[Row]
    url: str = ""
    icon: str = "list"
    empty_title: Sentence = ""
    empty_text: Sentence = ""
    empty_label: Sentence = ""
    empty_url: str = ""
    # Lower stands earlier.
    order: int = 50


TaskProvider = Callable[["Actor", datetime], Iterable[Task]]
FigureProvider = Callable[["Actor", datetime], Iterable[Figure]]
PanelProvider = Callable[["Actor", datetime], Iterable[Panel]]
# What a visitor sees: figures and procedures now open. Asked at most once a minute, as its answer is cached.
PublicProvider = Callable[[datetime], tuple[Sequence[Figure], Sequence[Row]]]

_tasks: list[TaskProvider] = []
_figures: list[FigureProvider] = []
_panels: list[PanelProvider] = []
_public: list[PublicProvider] = []


def register_tasks(provider: TaskProvider) -> None:
    """Things to do, for "Waiting for you"."""
    _add(_tasks, provider)


def register_figures(provider: FigureProvider) -> None:
    """Numbers on top of the first page."""
    _add(_figures, provider)


def register_panels(provider: PanelProvider) -> None:
    """Short lists below."""
    _add(_panels, provider)


def register_public(provider: PublicProvider) -> None:
    """What the public first page shows."""
    _add(_public, provider)


def tasks_for(actor: Actor, at: datetime) -> list[Task]:
    """Everything that waits for the actor: the earliest due first, what has no date after it."""
    found = [task for provider in _tasks for task in provider(actor, at)]
    return sorted(found, key=lambda task: (task.due_at is None, task.due_at or at))


def figures_for(actor: Actor, at: datetime) -> list[Figure]:
    return [figure for provider in _figures for figure in provider(actor, at)]


def panels_for(actor: Actor, at: datetime) -> list[Panel]:
    found = [panel for provider in _panels for panel in provider(actor, at)]
    return sorted(found, key=lambda panel: panel.order)


def public(at: datetime) -> tuple[list[Figure], list[Row]]:
    """Figures and open procedures for visitors."""
    answers = [provider(at) for provider in _public]
    return [figure for figures, _rows in answers for figure in figures], [
        row for _figures, rows in answers for row in rows
    ]


def _add(providers: list[Any], provider: Any) -> None:
    """Once, however often an app says it."""
    if provider not in providers:
        providers.append(provider)
