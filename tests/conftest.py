"""What holds for every ring."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# Machines that run the tests are busy with other things: an example's time says nothing about the code.
TIMELESS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("drawn", TIMELESS)
settings.register_profile("same", TIMELESS, derandomize=True)
settings.load_profile("same")  # a run of the same code has the same result; --chaos draws others

# The constants of all modules that are loaded are examples too: which ones depends on the tests before.
providers.is_local_module_file = lambda path: False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos", action="store_true", help="run what is marked chaos too: every kill, one by one"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--chaos"):
        settings.load_profile("drawn")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("chaos") and not config.getoption("--chaos"):
            item.add_marker(pytest.mark.skip(reason="takes long: tests/run --chaos"))


def pytest_collection_finish() -> None:
    gc.freeze()  # six thousand tests and all that they import stay until the end: no look for rubbish there


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[int, int], None]:
    """How many of how many held: a part of the table that a run with --chaos ends with."""

    def count(held: int, of: int) -> None:
        record_property("tally", (held, of))

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--chaos"):
        return
    rows = [
        (report.nodeid.rpartition("::")[2], *value, report.duration)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "tally" and report.when == "call"
    ]
    terminalreporter.section("chaos: how many of how many held")
    for name, held, of, seconds in rows:
        terminalreporter.line(f"{held:6} of {of:6}  {seconds:6.0f} s  {name}")
    terminalreporter.line(f"{sum(row[1] for row in rows):6} of {sum(row[2] for row in rows):6} in all")
