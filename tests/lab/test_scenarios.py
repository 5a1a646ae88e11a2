"""The lab's own files: these tests start no server."""

from pathlib import Path

import pytest
import yaml

from .scenario import SAMPLES, SCENARIOS, load

FAULTS = {
    item["fault"]
    for file in (Path(__file__).parents[2] / "rules" / "faults").glob("*.yaml")
    for item in yaml.safe_load(file.read_text()) or []
    if "fault" in item
}
FILES = sorted(SCENARIOS.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario_is_sound(file):
    data = load(file)
    assert data.get("healthy") or data["faults"]
    named = [fault for step in data["steps"] for fault in step.get("expect", []) if isinstance(step.get("expect"), list)]
    unknown = set(data["faults"] + named) - FAULTS
    assert not unknown, f"no such fault: {unknown}"
    assert any("save" in step for step in data["steps"])


def test_every_capture_says_what_is_expected():
    without = [
        str(file.relative_to(SAMPLES))
        for file in (SAMPLES / "lab").rglob("*")
        if file.suffix in (".txt", ".log", ".eml") and not file.with_suffix(".expected.yaml").exists()
    ]
    assert not without


def test_every_fault_is_injected():
    injected = {fault for file in FILES for fault in load(file)["faults"]}
    assert not FAULTS - injected
