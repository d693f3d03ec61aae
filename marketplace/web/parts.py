"""What views hand to the components of templates/components/: small frozen rows, so that a template only shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from marketplace.shared.errors import Sentence


@dataclass(frozen=True, slots=True)
class Action:
    """What a person can do on a page; where it is not allowed, `reason` says why and `remedy_*` what would help."""

    label: Sentence
    url: str
    icon: str = ""
    # "post" makes a form of one button; "get" a link.
    method: Literal["get", "post"] = "get"
    allowed: bool = True
    reason: Sentence = ""
    remedy_label: Sentence = ""
    remedy_url: str = ""
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """A row of the timeline. `state` is said in words too, so that colour is not alone."""

    label: Sentence
    at: datetime | None
    state: Literal["done", "next", "later"]
    note: Sentence = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and a value in plain words: a row of what is signed, or of a description list."""

    label: Sentence
    value: Any


@dataclass(frozen=True, slots=True)
class Reason:
    """One answer of "Can I bid?": what holds, or what does not and what would change it."""

    holds: bool
    text: Sentence
    remedy_label: Sentence = ""
    remedy_url: str = ""


@dataclass(frozen=True, slots=True)
class Crumb:
    label: Sentence
    url: str


@dataclass(frozen=True, slots=True)
class Tab:
    label: Sentence
    url: str
    current: bool = False
    count: int | None = None
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force; `url` is the same list without it."""

    label: Sentence
    url: str


@dataclass(frozen=True, slots=True)
class Stat:
    """A figure of a dashboard: `value` is a Money or ready text, `url` opens what it is made of."""

    label: Sentence
    value: Any
    note: Sentence = ""
    url: str = ""
    icon: str = ""
    tone: Literal["", "good", "warn", "bad"] = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart and the table beside it: `option` is ECharts' own, in plain JSON; cells of `rows` are ready text."""

    id: str
    title: Sentence
    option: dict[str, Any]
    columns: Sequence[Sentence] = field(default_factory=tuple)
    rows: Sequence[Sequence[Any]] = field(default_factory=tuple)
    # Columns (from 0) whose cells are figures and stand at the end of the line.
    figures: Sequence[int] = field(default_factory=tuple)
    currency: str = ""
    note: Sentence = ""
    # The figures of the chart are percents.
    percents: bool = False
