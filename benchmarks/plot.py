"""The figure of a run: for each race a line of dots, the contenders' times as multiples of the reference's."""

from __future__ import annotations

import math
from html import escape

from .bars import bars_of
from .measure import Race

_LABELS, _WIDTH, _ROW, _TOP, _LEGEND = 330, 560, 20, 64, 30  # pixels
_LOW, _HIGH = 0.2, 100.0  # multiples at the ends of the scale
_COLOURS = {
    "ours, in a scope": "#0b6e4f",
    "ours, one call per scope": "#5fb49c",
    "ours, no scope": "#a8d8c5",
    "plain Peewee": "#d98e04",
    "SQLAlchemy ORM": "#b23a48",
    "openai-agents": "#6a4c93",
}


def svg(races: list[Race]) -> str:
    """Return the figure of those races that have a contender of the figure's legend besides the reference."""
    shown = [race for race in races if race.reference not in _COLOURS and _dots(race)]
    height = _TOP + _ROW * len(shown) + _LEGEND
    rows = "\n".join(_row(race, _TOP + _ROW * place) for place, race in enumerate(shown))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LABELS + _WIDTH + 20} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12" role="img">\n'
        "<title>Time as a multiple of the reference's</title>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{_legend()}\n{_scale(height - _LEGEND)}\n{rows}\n</svg>\n'
    )


def _dots(race: Race) -> dict[str, float]:
    """Return the multiples of the contenders that have a colour."""
    multiples = {name: race.ratio(name, race.metric).median for name in race.names if name in _COLOURS}
    if race.metric == "rate":
        return {name: 1 / ratio for name, ratio in multiples.items()}
    return multiples


def _x(multiple: float) -> float:
    share = math.log(min(max(multiple, _LOW), _HIGH) / _LOW) / math.log(_HIGH / _LOW)
    return _LABELS + share * _WIDTH


def _legend() -> str:
    parts = []
    x = 20
    for name, colour in _COLOURS.items():
        parts.append(f'<circle cx="{x}" cy="18" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 9}" y="22" fill="#222222">{escape(name)}</text>')
        x += 40 + 7 * len(name)
    return "\n".join(parts)


def _scale(bottom: int) -> str:
    parts = []
    for multiple in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        x, width = _x(multiple), 2 if multiple == 1 else 1
        colour = "#555555" if multiple == 1 else "#dddddd"
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 14}" y2="{bottom}" stroke="{colour}" stroke-width="{width}"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{_TOP - 18}" text-anchor="middle" fill="#555555">{multiple:g} x</text>')
    return "\n".join(parts)


def _row(race: Race, y: int) -> str:
    label = escape(f"{race.workload}  {race.case}")
    parts = [f'<text x="{_LABELS - 12}" y="{y + 4}" text-anchor="end" fill="#222222">{label}</text>']
    for bar in bars_of(race):
        limit = bar.at_most if bar.at_most is not None else 1 / (bar.at_least or 1)
        if bar.metric == race.metric and bar.contender in _COLOURS:
            x = _x(limit)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 7}" y2="{y + 7}"'
                f' stroke="{_COLOURS[bar.contender]}" stroke-width="2"/>'
            )
    # The greatest first: ours lies on top where two coincide.
    for name, multiple in sorted(_dots(race).items(), key=lambda dot: -dot[1]):
        parts.append(
            f'<circle cx="{_x(multiple):.1f}" cy="{y}" r="5" fill="{_COLOURS[name]}" fill-opacity="0.85">'
            f"<title>{escape(name)}: {multiple:.2f}</title></circle>"
        )
    return "\n".join(parts)
