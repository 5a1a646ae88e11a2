"""Pages made from the knowledge itself: `python -m analyzer.authoring.docs` writes docs/generated/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.formats.load import load_formats
from analyzer.rulebook import load_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs" / "generated"


def pages() -> Iterator[tuple[str, str]]:
    """``(file name, text)`` of each generated page."""
    from analyzer.render.json import schema

    yield "report.schema.json", json.dumps(schema(), indent=1, sort_keys=True) + "\n"
    yield "formats.md", "\n".join(_formats()) + "\n"
    yield "faults.md", "\n".join(_faults()) + "\n"


def _formats() -> Iterator[str]:
    yield "# Formats\n\nMade from the headers of `grammars/*.lark`.\n"
    for fmt in load_formats().all.values():
        header = fmt.header
        yield f"## {fmt.name}: {header.title}\n"
        if header.about:
            yield f"{header.about}\n"
        if header.programs:
            yield f"Programs: {', '.join(f'`{p}`' for p in header.programs)}\n"
        if header.samples:
            yield "```\n" + "\n".join(header.samples[:6]) + "\n```\n"
        if header.refs:
            yield "See " + "; ".join(header.refs) + "\n"


def _faults() -> Iterator[str]:
    yield "# Faults\n\nMade from `rules/faults/*.yaml`.\n"
    book = load_rules()
    said = {f: sum(f in r.suggests for r in book.rules) for f in book.faults}
    area = ""
    for fault in book.faults.values():
        if fault.area != area:
            area = fault.area
            yield f"\n## {area}\n\n| fault | fixed by | severity | rules | what it is |\n| --- | --- | --- | --- | --- |"
        yield f"| `{fault.fault}` | {fault.fixed_by} | {fault.severity} | {said[fault.fault]} | {fault.title} |"


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
