"""What tests of the command line share."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest

from kubeboot.cli import actions
from tests.unit.cli_actions import Actions


@pytest.fixture
def acts() -> Iterator[Actions]:
    """No command does anything but tell these."""
    found = Actions()
    stand_ins = {name: found.stand_in(name) for name in found.answers}
    with mock.patch.multiple(actions, **stand_ins):
        yield found
