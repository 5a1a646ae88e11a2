"""Compare what mailwhy says about the lab's captures with the faults that were injected: tests/lab/RESULTS.md."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from .scenario import HERE, SAMPLES

CONFIDENT = 0.7


@dataclass(frozen=True)
class Result:
    """One capture: what was injected, what was answered."""

    path: str
    format: str
    verdict: str
    faults: tuple[str, ...]
    said: str
    answers: tuple[tuple[str, float], ...]

    @property
    def first(self) -> str:
        return self.answers[0][0] if self.answers and self.said == "faulty" else self.said

    @property
    def right(self) -> bool:
        """The injected fault stands first; a healthy or undecidable capture gets that verdict."""
        if self.verdict != "faulty":
            return self.said == self.verdict
        return self.said == "faulty" and self.first == self.faults[0]

    @property
    def near(self) -> bool:
        return self.right or (self.verdict == "faulty" and self.faults[0] in [fault for fault, _ in self.answers[:3]])

    @property
    def confident_error(self) -> bool:
        if self.right or not self.answers or self.said != "faulty":
            return False
        fault, certainty = self.answers[0]
        return certainty >= CONFIDENT and fault not in self.faults

    @property
    def false_alarm(self) -> bool:
        return self.verdict == "healthy" and self.said == "faulty"


def format_of(path: Path) -> str:
    """The kind of capture, from its place and name."""
    if path.parts[0] != "lab":
        return path.parts[0]
    if path.suffix == ".eml":
        return "bounce"
    return path.stem.split("-")[0]


def captures() -> list[tuple[Path, dict]]:
    """Every capture that the lab made, with its expectations."""
    found = []
    for expected in sorted(SAMPLES.rglob("*.expected.yaml")):
        data = yaml.safe_load(expected.read_text())
        if "tests/lab/scenarios/" not in data.get("origin", ""):
            continue
        stem = expected.name.removesuffix(".expected.yaml")
        files = [file for file in expected.parent.glob(f"{stem}.*") if not file.name.endswith(".expected.yaml")]
        if files:
            found.append((files[0], data))
    return found


def results() -> list[Result]:
    from analyzer.diagnose import diagnose
    from analyzer.formats.load import load_formats
    from analyzer.model.capture import Source
    from analyzer.rulebook import load_rules

    book, formats = load_rules(()), load_formats(())
    found = []
    for path, data in captures():
        report = diagnose([Source(path.name, path.read_bytes())], book, formats)
        relative = path.relative_to(SAMPLES)
        answers = tuple((d.fault, d.certainty) for d in report.diagnoses)
        faults = tuple(data.get("faults", ()))
        found.append(Result(str(relative), format_of(relative), data["verdict"], faults, report.verdict, answers))
    return found


def write() -> None:
    """Write the table."""
    text = "\n".join(page(results())) + "\n"
    (HERE / "RESULTS.md").write_text(text)
    print(text[: text.index("\n## By fault")])


def page(all_results: list[Result]) -> Iterable[str]:
    faulty = [r for r in all_results if r.verdict == "faulty"]
    healthy = [r for r in all_results if r.verdict == "healthy"]
    yield "# What the lab shows"
    yield ""
    yield f"Written by `python -m tests.lab --score` on {time.strftime('%Y-%m-%d', time.gmtime())}, from real servers' captures below `samples/`."
    yield "Each capture is labelled by the fault that was injected, never by what the tool says."
    yield ""
    yield f"- faults injected: {len({r.faults[0] for r in faulty})}, seen in {len(faulty)} captures"
    yield f"- right at rank 1: {share(r.right for r in faulty)}; among the first three: {share(r.near for r in faulty)}"
    yield f"- confident errors (certainty of {CONFIDENT} or more, and wrong): {sum(r.confident_error for r in all_results)}"
    yield f"- false alarms on {len(healthy)} healthy captures: {sum(r.false_alarm for r in healthy)}; called healthy: {share(r.right for r in healthy)}"
    yield ""
    yield "## By format"
    yield ""
    yield "| format | faulty | rank 1 | top 3 | confident errors | healthy | called healthy | false alarms |"
    yield "|---|---|---|---|---|---|---|---|"
    for kind in sorted({r.format for r in all_results}):
        yield row(kind, [r for r in all_results if r.format == kind])
    yield ""
    yield "## By fault"
    yield ""
    yield "Behind each format stand its captures; of those with two numbers, the first were told right."
    yield ""
    yield "| injected | captures | rank 1 | top 3 | formats | diagnosed instead |"
    yield "|---|---|---|---|---|---|"
    groups = defaultdict(list)
    for result in faulty:
        groups[result.faults[0]].append(result)
    for fault, group in sorted(groups.items()):
        wrong = Counter(f"{r.first} ({r.format})" for r in group if not r.right)
        instead = ", ".join(f"{name} x{n}" if n > 1 else name for name, n in wrong.most_common())
        yield f"| {fault} | {len(group)} | {sum(r.right for r in group)} | {sum(r.near for r in group)} | {formats_of(group)} | {instead} |"
    yield ""
    yield from listing("Confident errors", [r for r in all_results if r.confident_error])
    yield from listing("False alarms", [r for r in healthy if r.false_alarm])
    yield from listing("Healthy, but not called so", [r for r in healthy if not r.right and not r.false_alarm])


def formats_of(group: list[Result]) -> str:
    """How many captures of each format there are, and how many were told right where not all were."""
    told = defaultdict(list)
    for result in group:
        told[result.format].append(result.right)
    return ", ".join(f"{kind} {len(rights) if all(rights) else f'{sum(rights)}/{len(rights)}'}" for kind, rights in sorted(told.items()))


def share(values: Iterable[bool]) -> str:
    values = list(values)
    return f"{sum(values)} of {len(values)} ({100 * sum(values) / (len(values) or 1):.0f} %)"


def row(kind: str, group: list[Result]) -> str:
    faulty = [r for r in group if r.verdict == "faulty"]
    healthy = [r for r in group if r.verdict == "healthy"]
    numbers = [len(faulty), sum(r.right for r in faulty), sum(r.near for r in faulty), sum(r.confident_error for r in group)]
    numbers += [len(healthy), sum(r.right for r in healthy), sum(r.false_alarm for r in healthy)]
    return f"| {kind} | " + " | ".join(map(str, numbers)) + " |"


def listing(title: str, group: list[Result]) -> Iterable[str]:
    yield f"## {title}"
    yield ""
    if not group:
        yield "None."
    for r in group:
        said = ", ".join(f"{fault} {certainty:.2f}" for fault, certainty in r.answers[:3]) or r.said
        yield f"- `samples/{r.path}`: injected {', '.join(r.faults) or r.verdict}; said {said}"
    yield ""
