"""Line plots as SVG, written by hand: a few panels one below the other, legible on light and on dark pages.

draw(path, "Load held for 30 minutes", "minutes", [Panel("Memory", "MiB", [Series("web", [(0, 61), (1, 62)])])])
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

Point = tuple[float, float]

WIDTH, PANEL_HEIGHT, LEFT, RIGHT, TOP, GAP = 880, 150, 64, 210, 44, 46
# For each series in turn: on light pages, on dark pages. Told apart by people who do not see all colours, too.
COLOURS = (
    ("#0b63b5", "#6db3f2"),
    ("#b3540b", "#f0a35e"),
    ("#0d7a5f", "#4fd0a8"),
    ("#8a2f8f", "#dd8fe2"),
    ("#6b6b00", "#d6d66a"),
    ("#b0243a", "#ff8d9c"),
    ("#3f3fb0", "#a5a5ff"),
    ("#4d4d4d", "#bdbdbd"),
)
DASHES = ("", "6 3", "2 3", "8 3 2 3")


@dataclass(frozen=True)
class Series:
    """One line of a panel.

    Attributes:
        name: what its legend says.
        points: in the order of x; a y of NaN leaves a gap.
    """

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Panel:
    """One plot; all panels of a picture share the x axis.

    Attributes:
        title: what is shown.
        unit: of y.
        series: the lines.
        is_logarithmic: whether each step up y is a factor.
    """

    title: str
    unit: str
    series: Sequence[Series]
    is_logarithmic: bool = False


@dataclass(frozen=True)
class Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool

    def at(self, value: float) -> float:
        """Return where a value lies."""
        low, high = self.low, self.high
        if self.is_logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def draw(path: Path, title: str, x_label: str, panels: Sequence[Panel], *, is_x_logarithmic: bool = False) -> None:
    """Write a picture.

    Args:
        path: the SVG file.
        title: what the whole picture shows; also its text for who does not see it.
        x_label: what runs from left to right.
        panels: from top to bottom.
        is_x_logarithmic: whether each step along x is a factor.
    """
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP) + 14
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f"<title>{escape(title)}</title>",
        _style(),
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
    ]
    x_values = [x for panel in panels for series in panel.series for x, _ in series.points] or [0.0, 1.0]
    low, high = (min(x_values), max(x_values)) if is_x_logarithmic else (min(0.0, *x_values), max(x_values))
    across = Scale(low, high if high > low else low + 1, LEFT, WIDTH - RIGHT, is_x_logarithmic)
    for number, panel in enumerate(panels):
        top = TOP + number * (PANEL_HEIGHT + GAP) + 16
        is_last = number == len(panels) - 1
        lines += _panel(panel, across, top, x_label if is_last else "")
    lines.append("</svg>")
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _style() -> str:
    light, dark = [], []
    for number, (on_light, on_dark) in enumerate(COLOURS):
        light.append(f".l{number}{{stroke:{on_light}}}.t{number}{{fill:{on_light}}}")
        dark.append(f".l{number}{{stroke:{on_dark}}}.t{number}{{fill:{on_dark}}}")
    return (
        "<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600;fill:#111}"
        ".head{font-weight:600;fill:#111}.paper{fill:#fff}.grid{stroke:#ddd}.axis{stroke:#888}"
        "polyline,.key{fill:none;stroke-width:1.6;stroke-linejoin:round}" + "".join(light) + "@media "
        "(prefers-color-scheme:dark){text{fill:#ccc}.title,.head{fill:#f2f2f2}.paper{fill:#16181c}.grid{stroke:#34383f}"
        ".axis{stroke:#777}" + "".join(dark) + "}</style>"
    )


def _panel(panel: Panel, across: Scale, top: float, x_label: str) -> Iterator[str]:
    values = [y for series in panel.series for _, y in series.points if not math.isnan(y)] or [0.0, 1.0]
    if panel.is_logarithmic:
        positive = [y for y in values if y > 0] or [1.0]
        low, high = 10 ** math.floor(math.log10(min(positive))), 10 ** math.ceil(math.log10(max(positive) * 1.0001))
    else:
        low, high = 0.0, max(values) * 1.08 or 1.0
    up = Scale(low, high, top + PANEL_HEIGHT, top, panel.is_logarithmic)
    yield f'<text class="head" x="{LEFT}" y="{top - 6}">{escape(panel.title)} ({escape(panel.unit)})</text>'
    for tick in ticks(up):
        y = round(up.at(tick), 1)
        yield f'<path class="grid" d="M{across.start} {y}H{across.end}"/>'
        yield f'<text text-anchor="end" x="{LEFT - 6}" y="{y + 4}">{_number(tick)}</text>'
    for tick in ticks(across):
        x = round(across.at(tick), 1)
        yield f'<path class="grid" d="M{x} {up.start}V{up.end}"/>'
        yield f'<text text-anchor="middle" x="{x}" y="{up.start + 15}">{_number(tick)}</text>'
    yield f'<path class="axis" fill="none" d="M{across.start} {up.end}V{up.start}H{across.end}"/>'
    if x_label:
        yield f'<text text-anchor="end" x="{across.end}" y="{up.start + 31}">{escape(x_label)}</text>'
    for number, series in enumerate(panel.series):
        yield from _line(number, series, across, up, top)


def _line(number: int, series: Series, across: Scale, up: Scale, top: float) -> Iterator[str]:
    colour = number % len(COLOURS)
    dash = DASHES[(number // len(COLOURS)) % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    piece: list[str] = []
    for x, y in [*series.points, (0.0, math.nan)]:
        if not math.isnan(y):
            piece.append(f"{across.at(x):.1f},{up.at(y):.1f}")
            continue
        if piece:
            yield f'<polyline class="l{colour}"{dashed} points="{" ".join(piece)}"/>'
        piece = []
    x, y = across.end + 14, top + 8 + 16 * number
    yield f'<path class="key l{colour}"{dashed} d="M{x} {y}h18"/>'
    yield f'<text class="t{colour}" x="{x + 24}" y="{y + 4}">{escape(series.name)}</text>'


def ticks(scale: Scale) -> list[float]:
    """Return values worth a line across: round ones, four or five of them, or the powers of ten."""
    if scale.is_logarithmic:
        powers = range(math.ceil(math.log10(scale.low) - 1e-9), math.floor(math.log10(scale.high) + 1e-9) + 1)
        return [10.0**power for power in powers]
    rough = (scale.high - scale.low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(scale.low / step - 1e-9)
    return [n * step for n in range(first, math.floor(scale.high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if value >= 1_000:
        return f"{value / 1_000:g}k"
    return f"{value:.10g}" if value == 0 or abs(value) >= 0.01 else f"{value:.1e}"
