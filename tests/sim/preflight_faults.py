"""The host faults that preflight is held to: catalog number, finding, how to seed it on a fake machine.

Chosen from the catalog before the checks were written. docs/preflight.md has the same table; a test compares.
"""

from __future__ import annotations

from tests.sim import (
    preflight_faults_hardening,
    preflight_faults_joining,
    preflight_faults_leftovers,
    preflight_faults_machine,
    preflight_faults_network,
)

FAULTS = (
    *preflight_faults_machine.FAULTS,
    *preflight_faults_network.FAULTS,
    *preflight_faults_leftovers.FAULTS,
    *preflight_faults_joining.FAULTS,
    *preflight_faults_hardening.FAULTS,
)
