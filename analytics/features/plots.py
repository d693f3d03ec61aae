"""Curves as SVG inside a page, whose style gives the colours: so they read in light, dark and print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from analytics.rules.history import FloatArray

_WIDTH, _HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 46
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """`style` is a class of the page: "product", "control", "oracle", "ideal", or "other0", "other1", …"""

    name: str
    x: Sequence[float] | FloatArray
    y: Sequence[float] | FloatArray
    style: str
    dots: bool = False


def lines(title: str, x_name: str, y_name: str, drawn: Sequence[Line], *, percent_x: bool, top: float = 1.0) -> str:
    """Curves over 0 to the largest x, and 0 to `top`; both axes in percent, or x in plain numbers."""
    right = max((float(np.max(line.x)) for line in drawn if len(line.x)), default=1.0) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * x / right
        return across, _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * min(max(y, 0.0), top) / top

    parts = [_axis(place, right, top, percent_x)]
    for line in drawn:
        points = [place(float(x), float(y)) for x, y in zip(line.x, line.y, strict=True) if np.isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line {line.style}" points="{path}"/>')
        if line.dots:
            parts += [f'<circle class="dot {line.style}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
    parts.append(_named(x_name, y_name))
    return _figure(title, parts, _key([(line.name, line.style) for line in drawn]))


def _axis(place: object, right: float, top: float, percent_x: bool) -> str:
    assert callable(place)
    marks = []
    for step in range(_TICKS + 1):
        x, y = right * step / _TICKS, top * step / _TICKS
        across, base = place(x, 0.0)
        left, up = place(0.0, y)
        label = f"{x * 100:.0f}%" if percent_x else f"{x:.0f}"
        marks += [
            f'<line class="grid" x1="{left:.1f}" y1="{up:.1f}" x2="{_WIDTH - _RIGHT}" y2="{up:.1f}"/>',
            f'<text x="{across:.1f}" y="{base + 18:.1f}" text-anchor="middle">{label}</text>',
            f'<text x="{left - 8:.1f}" y="{up + 4:.1f}" text-anchor="end">{y * 100:.0f}%</text>',
        ]
    return "".join(marks)


def _named(x_name: str, y_name: str) -> str:
    middle = (_HEIGHT - _BOTTOM + _TOP) / 2
    return (
        f'<text x="{(_WIDTH + _LEFT) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>'
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(y_name)}</text>'
    )


def _key(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<li><svg class="swatch" viewBox="0 0 24 8" aria-hidden="true"><line class="line {style}" '
        f'x1="0" y1="4" x2="24" y2="4"/></svg>{escape(name)}</li>'
        for name, style in entries
    )
    return f"<ul>{items}</ul>"


def _figure(title: str, parts: Sequence[str], key: str) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>{key}</figure>'
    )
