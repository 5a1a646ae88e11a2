"""What tests share: the knowledge, loaded once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.formats.load import load_formats
from analyzer.rulebook import load_rules

if TYPE_CHECKING:
    from analyzer.formats.load import Formats
    from analyzer.model.rule import RuleBook

SAMPLES = Path(__file__).parent.parent / "samples"


def pytest_configure(config: pytest.Config) -> None:
    """Tests neither read nor fill the user's own cache, not even while they are collected."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # all workers share one
    folder = tempfile.TemporaryDirectory(prefix="mailwhy-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_CACHE_HOME"] = folder.name


@pytest.fixture(scope="session")
def book() -> RuleBook:
    return load_rules()


@pytest.fixture(scope="session")
def formats() -> Formats:
    return load_formats()
