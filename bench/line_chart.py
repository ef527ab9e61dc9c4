"""Draws simple line charts as SVG: a line for each row of figures, its name at its end. Legible in dark mode too."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, LEFT, RIGHT, TOP = 860, 70, 250, 50
STYLE = """
svg { background: #fff; font: 13px system-ui, sans-serif; }
text { fill: #222; } .quiet { fill: #666; } .grid { stroke: #ddd; } .title { font-weight: 600; font-size: 15px; }
.shade { fill: #8883; }
@media (prefers-color-scheme: dark) {
  svg { background: #161a1f; } text { fill: #e8e8e8; } .quiet { fill: #a5abb3; } .grid { stroke: #353b43; }
}
"""
COLOURS = ("#4477dd", "#dd7722", "#229966", "#cc4477", "#8866cc", "#aa8822", "#2299bb", "#dd5544")  # on white and black


def draw(
    title: str, places: Sequence[str], lines: Mapping[str, Sequence[float]], *, unit: str = "ms", height: int = 0,
    is_logarithmic: bool = False, shaded: tuple[int, int, str] | None = None,
) -> str:  # fmt: skip
    """Return the chart.

    Args:
        title: above it.
        places: what stands below it, evenly spaced; where there are many, some are left out.
        lines: figures at each place, by name.
        unit: of the figures.
        height: in pixels; by default what the names need.
        shaded: from which place to which something happened, and what.
        is_logarithmic: equal distances for equal ratios; all figures must be positive.
    """
    height = height or max(300, TOP + 60 + 19 * len(lines))
    bottom = height - 40
    values = [value for line in lines.values() for value in line]
    low, high = (min(values), max(values)) if is_logarithmic else (0.0, max(values) * 1.05)
    scale = math.log10 if is_logarithmic else float
    if is_logarithmic:
        low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
    span = (scale(high) - scale(low)) or 1.0

    def y(value: float) -> float:
        return bottom - (scale(value) - scale(low)) / span * (bottom - TOP)

    def x(place: int) -> float:
        return LEFT + place * (WIDTH - LEFT - RIGHT) / max(1, len(places) - 1)

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="25">{escape(title)}</text>',
    ]
    if shaded:
        first, last, what = x(shaded[0]), x(shaded[1]), escape(shaded[2])
        size = f'width="{last - first:.1f}" height="{bottom - TOP}"'
        drawn.append(f'<rect class="shade" x="{first:.1f}" y="{TOP}" {size}/>')
        drawn.append(f'<text class="quiet" x="{first + 6:.1f}" y="{TOP + 16}">{what}</text>')
    for mark in _marks(low, high, is_logarithmic):
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        drawn.append(
            f'<text class="quiet" text-anchor="end" x="{LEFT - 8}" y="{y(mark) + 4:.1f}">{mark:g} {unit}</text>'
        )
    step = max(1, math.ceil(len(places) / 8))
    for place in range(0, len(places), step):
        shown = escape(places[place])
        drawn.append(f'<text class="quiet" text-anchor="middle" x="{x(place):.1f}" y="{bottom + 22}">{shown}</text>')
    ends = _apart({name: y(line[-1]) for name, line in lines.items()}, TOP, bottom)
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(line))
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        end = WIDTH - RIGHT
        drawn.append(
            f'<path fill="none" stroke="{colour}" d="M{end} {y(line[-1]):.1f} l10 {ends[name] - y(line[-1]):.1f}"/>'
        )
        drawn.append(f'<text x="{end + 14}" y="{ends[name] + 4:.1f}">{escape(name)}</text>')
    return "\n".join([*drawn, "</svg>", ""])


def _marks(low: float, high: float, is_logarithmic: bool) -> list[float]:
    if is_logarithmic:
        return [10.0**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]
    step = 10 ** math.floor(math.log10(high))
    step = next(each for each in (step / 5, step / 2, step) if high / each <= 6)
    return [step * number for number in range(int(high / step) + 1)]


def _apart(ends: Mapping[str, float], top: float, bottom: float, distance: float = 17) -> dict[str, float]:
    """Move names apart that would lie upon each other."""
    order = sorted(ends, key=lambda name: ends[name])
    placed: dict[str, float] = {}
    at = top - distance
    for name in order:
        at = placed[name] = max(ends[name], at + distance)
    limit = bottom
    for name in reversed(order):
        limit = placed[name] = min(placed[name], limit)
        limit -= distance
    return placed
