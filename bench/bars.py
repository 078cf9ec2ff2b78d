"""Bar charts with spreads, as SVG that reads well on light and dark pages."""

import math
import statistics
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LABELS, FIGURES = 720, 130, 150  # of the whole picture, of the names on the left, of the figures on the right
BAR, GAP, TITLE, AXIS, FOOT = 20, 10, 34, 30, 20

STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-weight: 600; font-size: 15px; }
    .axis { fill: #59636e; font-size: 11px; }
    .ours { fill: #0969da; } .theirs { fill: #a3adb8; }
    .grid { stroke: #d1d9e0; } .reference { stroke: #59636e; stroke-dasharray: 4 3; }
    .spread { stroke: #1f2328; stroke-width: 1.5; }
    .page { fill: #ffffff; }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3; } .axis { fill: #9198a1; }
        .ours { fill: #4493f8; } .theirs { fill: #59636e; }
        .grid { stroke: #30363d; } .reference { stroke: #9198a1; }
        .spread { stroke: #e6edf3; }
        .page { fill: #0d1117; }
    }"""


@dataclass
class Panel:
    """A bar for each name: as long as the median, with a line from the least value to the most."""
    title: str
    values: dict[str, list[float]]
    digits: int = 2
    reference: float | None = None  # where a dashed line is drawn


def step_of(most: float) -> float:
    """The distance of grid lines: 1, 2 or 5 times a power of ten, for four to ten of them."""
    power = 10 ** math.floor(math.log10(most / 4))
    return next(power * factor for factor in (5, 2, 1) if power * factor <= most / 4)


def height_of(panel: Panel) -> int:
    return TITLE + len(panel.values) * (BAR + GAP) + AXIS


def draw(panel: Panel, top: int) -> list[str]:
    most = max(max(values) for values in panel.values.values()) or 1
    scale = (WIDTH - LABELS - FIGURES) / most
    step = step_of(most)
    first, last = top + TITLE, top + TITLE + len(panel.values) * (BAR + GAP)
    lines = [f'<text class="title" x="12" y="{top + 20}">{escape(panel.title)}</text>']
    for number in range(math.floor(most / step) + 1):
        x = LABELS + number * step * scale
        lines += [f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{first - 4}" y2="{last}"/>',
                  f'<text class="axis" x="{x:.1f}" y="{last + 14}" text-anchor="middle">{number * step:g}</text>']
    for number, (name, values) in enumerate(panel.values.items()):
        y = first + number * (BAR + GAP)
        middle, text = y + BAR / 2, y + BAR - 5
        median, least, greatest = statistics.median(values), min(values), max(values)
        left, right = LABELS + least * scale, LABELS + greatest * scale
        lines += [
            f'<text x="{LABELS - 8}" y="{text}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{"ours" if name.startswith("rotagate") else "theirs"}" x="{LABELS}" y="{y}" '
            f'width="{median * scale:.1f}" height="{BAR}" rx="2"/>',
            f'<path class="spread" fill="none" d="M{left:.1f} {middle} H{right:.1f} M{left:.1f} {middle - 4} v8 '
            f'M{right:.1f} {middle - 4} v8"/>',
            f'<text x="{WIDTH - FIGURES + 12}" y="{text}">{median:.{panel.digits}f} '
            f'<tspan class="axis">({least:.{panel.digits}f}–{greatest:.{panel.digits}f})</tspan></text>']
    if panel.reference is not None:
        x = LABELS + panel.reference * scale
        lines.append(f'<line class="reference" x1="{x:.1f}" x2="{x:.1f}" y1="{first - 4}" y2="{last}"/>')
    return lines


def chart(*panels: Panel, line: str = "least to most") -> str:
    """@param line  what the lines of the bars are"""
    lines, top = [], 6
    for panel in panels:
        lines += draw(panel, top)
        top += height_of(panel)
    lines.append(f'<text class="axis" x="12" y="{top + 8}">bar: median; line: {line}</text>')
    top += FOOT
    body = "\n".join("  " + line for line in lines)
    title = escape("; ".join(panel.title for panel in panels))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}">
  <title>{title}</title>
  <style>{STYLE}
  </style>
  <rect class="page" width="{WIDTH}" height="{top}" rx="6"/>
{body}
</svg>
"""
