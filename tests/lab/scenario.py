"""A scenario: one YAML file that says which hosts run, what is broken, what is done, and what is captured."""

import os
import re
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SAMPLES = Path(os.environ.get("LAB_SAMPLES", HERE.parents[1] / "samples"))
SCENARIOS = HERE / "scenarios"
WORLD = yaml.safe_load((HERE / "world.yaml").read_text())

KEYS = {"fault", "faults", "healthy", "verdict", "about", "hosts", "zones", "records", "delegations", "unserved", "steps", "facts", "say"}


def load(path: Path) -> dict[str, Any]:
    """Read one scenario and fill in what it leaves out."""
    data = yaml.safe_load(path.read_text())
    unknown = set(data) - KEYS
    if unknown:
        raise ValueError(f"{path.name}: unknown keys {sorted(unknown)}")
    data["name"] = path.stem
    data["faults"] = data.get("faults") or ([data["fault"]] if data.get("fault") else [])
    data["zones"] = zones_of(data)
    data["hosts"] = hosts_of(data)
    return data


def all_of(names: list[str]) -> list[Path]:
    """The scenario files whose names start with one of the given words; all when none is given."""
    files = sorted(SCENARIOS.glob("*.yaml"))
    if not names:
        return files
    return [file for file in files if any(file.stem == name or re.match(name, file.stem) for name in names)]


def zones_of(data: dict[str, Any]) -> dict[str, str]:
    zones = {**WORLD["zones"], **data.get("zones", {})}
    zones = {name: text for name, text in zones.items() if text is not None}
    for name, text in data.get("records", {}).items():
        zones[name] = zones.get(name, "") + text
    return zones


def hosts_of(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every host that takes part: the scenario's words laid over the usual ones."""
    named = data.get("hosts") or {}
    if isinstance(named, list):
        named = {name: {} for name in named}
    hosts = {}
    for name in ["ns", "resolver", *[n for n in named if n not in ("ns", "resolver")]]:
        own = named.get(name) or {}
        merged = {**WORLD["hosts"].get(own.get("like", name), {}), **own}
        merged.setdefault("runs", [])
        merged["runs"] = [*own.get("first", []), *merged["runs"], *own.get("also", [])]
        hosts[name] = merged
    return hosts
