"""What a scored file holds: one table, one sentence, one picture."""

from array import array
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

MOST_GROUPS = 40  # that a picture shows by name


class Summary:
    """Counts that grow with each record."""

    def __init__(self) -> None:
        self.rows = 0
        self.counts: Counter[tuple[str, str]] = Counter()  # by kind and reason
        self.sums: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.unscored: list[tuple[int, str, str]] = []  # line, reason, message
        self.totals = array("d")
        self.passed = array("b")
        self.characters = array("q")
        self.formats = 0
        self.groups: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self.rates: defaultdict[str, array[int]] = defaultdict(lambda: array("b"))

    def add(self, record: dict[str, Any]) -> None:
        """Count a line of the output."""
        self.rows += 1
        key = (record.get("kind", "–"), record["reason"])
        self.counts[key] += 1
        total = record["total"]
        if total is None:
            self.unscored.append((record["line"], record["reason"], record.get("message", "")))
            return
        right = record["correctness"] > 0
        self.sums[key] += total
        self.totals.append(total)
        self.passed.append(right)
        self.characters.append(record["characters"])
        self.formats += record["format"] > 0
        if "group" in record:
            self.groups[record["group"]].append(total)
            self.rates[record["group"]].append(right)

    def table(self) -> Table:
        """Rows and mean reward by kind and reason."""
        result = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        result.add_column("kind")
        result.add_column("reason")
        for name in ("rows", "share", "mean reward"):
            result.add_column(name, justify="right")
        for key, count in sorted(self.counts.items(), key=lambda item: (item[0][0], -item[1])):
            mean = f"{self.sums[key] / count:.3f}" if key in self.sums else "–"
            style = "green" if key[1] == "correct" else None if key in self.sums else "red"
            result.add_row(*key, f"{count:,}", f"{count / self.rows:.1%}", mean, style=style)
        return result

    def sentences(self) -> list[str]:
        """The whole in words."""
        count = len(self.totals)
        if not count:
            return [f"{self.rows:,} rows, none of them scored"]
        right, form = sum(self.passed) / count, self.formats / count
        mean = sum(self.totals) / count
        shares = f"{right:.1%} right, {form:.1%} in form, mean reward {mean:.3f}"
        said = [f"{count:,} of {self.rows:,} rows scored: {shares}"]
        if self.groups:
            mixed = sum(len(set(totals)) > 1 for totals in self.groups.values())
            said.append(f"{mixed:,} of {len(self.groups):,} groups have rewards that differ")
        return said

    def save_picture(self, path: Path) -> None:
        """Histogram of rewards, pass rate by group, lengths of right and wrong completions."""
        from matplotlib.figure import Figure  # noqa: PLC0415 - the extra `plot`

        figure = Figure(figsize=(12, 3.6), layout="constrained")
        rewards, groups, lengths = figure.subplots(1, 3)
        rewards.hist(self.totals, bins=24, range=(-0.1, 1.1), color="C0")
        rewards.set(title="rewards", xlabel="reward", ylabel="rows")

        rates = {name: sum(passed) / len(passed) for name, passed in self.rates.items()}
        ordered = sorted(rates.items(), key=lambda item: item[1])
        if len(ordered) <= MOST_GROUPS:
            names = [name if len(name) <= 12 else name[:11] + "…" for name, _ in ordered]
            groups.bar(range(len(ordered)), [rate for _, rate in ordered], color="C2")
            groups.set_xticks(range(len(ordered)), names, rotation=90, fontsize=6)
            groups.set(title="pass rate by group", ylim=(0, 1))
        else:
            groups.hist([rate for _, rate in ordered], bins=21, range=(0, 1), color="C2")
            groups.set(title="pass rate by group", xlabel="pass rate", ylabel="groups")

        by_result = {
            label: [
                n for n, right in zip(self.characters, self.passed, strict=True) if right == is_
            ]
            for label, is_ in (("right", 1), ("wrong", 0))
        }
        shown = {label: values for label, values in by_result.items() if values}
        if shown:
            colors = [{"right": "C2", "wrong": "C3"}[label] for label in shown]
            lengths.hist(list(shown.values()), bins=24, stacked=True, color=colors, label=[*shown])
            lengths.legend()
        lengths.set(title="lengths", xlabel="characters", ylabel="rows")
        figure.savefig(path, dpi=120)
