"""What holds for every ring."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Machines that run the tests are busy with other things: an example's time says nothing about the code.
settings.register_profile("kubeboot", deadline=None)
settings.load_profile("kubeboot")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos", action="store_true", help="run what is marked chaos too: every kill, one by one"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("chaos") and not config.getoption("--chaos"):
            item.add_marker(pytest.mark.skip(reason="takes long: tests/run --chaos"))
