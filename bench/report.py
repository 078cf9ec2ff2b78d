"""How figures become the text and the pictures of RESULTS.md."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Section:
    """What one measurement has to say."""
    text: str  # Markdown
    charts: dict[str, str] = field(default_factory=dict)  # SVG by file name


def spread(values: list[float], digits: int = 1) -> str:
    """The median, and the least and the most."""
    if not values:
        return "–"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def middle_half(values: list[float]) -> list[float]:
    """Without the least quarter and the most: for figures that single disturbances throw far out."""
    quarter = len(values) // 4
    return sorted(values)[quarter:len(values) - quarter]


def ratios(mine: list[float], others: list[float]) -> list[float]:
    """Round by round, since a machine gets faster and slower from round to round."""
    return [value / other for value, other in zip(mine, others)]


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
