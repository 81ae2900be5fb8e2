"""What holds for every ring."""

from __future__ import annotations

from hypothesis import settings

# Machines that run the tests are busy with other things: an example's time says nothing about the code.
settings.register_profile("kubeboot", deadline=None)
settings.load_profile("kubeboot")
