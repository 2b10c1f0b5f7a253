"""Several rounds as one cell of a table: the median, and the least and the most."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """What several rounds have found."""

    median: float
    least: float
    most: float

    @staticmethod
    def of(values: list[float]) -> "Spread":
        """At least one value."""
        return Spread(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.least)}–{number(self.most)})"

    def bar(self, name: str, emphasis: bool = False, note: str = "") -> dict:
        """As `graphpipe-loadgen plot --bars` takes it."""
        return {"name": name, "value": self.median, "least": self.least, "most": self.most, "note": note,
                "emphasis": emphasis}


def number(value: float) -> str:
    """Three digits that count, and no exponent."""
    if value == 0:
        return "0"
    digits = 2 - int(f"{abs(value):e}".partition("e")[2])
    rounded = round(value, digits)
    return f"{rounded:.{max(digits, 0)}f}"


def seconds(value: float) -> str:
    """Seconds in the unit that needs the fewest zeros."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size or unit == "µs":
            return f"{number(value / size)} {unit}"
    raise AssertionError("the last unit takes everything")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table of Markdown whose columns stand below each other; numbers are what is right of the first text columns."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
