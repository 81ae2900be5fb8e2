"""The lab's commands that tell what was noted when its machines were booted."""

from __future__ import annotations

import dataclasses
import json

import click

from lablib import machine_inventory, machine_state

NAME = click.option("--name", default="lab", show_default=True, help="Which lab.", metavar="LAB")


@click.command()
@NAME
def hosts(name: str) -> None:
    """Print name, address and role of the machines as JSON."""
    lab = machine_state.require(name)
    click.echo(json.dumps([dataclasses.asdict(machine) for machine in lab.machines], indent=2))


@click.command()
@NAME
@click.option("--list", "_all", is_flag=True, help="As Ansible asks; it is the default.")
@click.option("--host", help="As Ansible asks for one machine's variables.", metavar="MACHINE")
def inventory(name: str, _all: bool, host: str | None) -> None:
    """Print the lab as an Ansible inventory: what inventories/lab runs."""
    lab = machine_state.require(name)
    found = machine_inventory.inventory(lab, lab.ssh_config.read_text())
    click.echo(json.dumps(found["_meta"]["hostvars"].get(host, {}) if host else found, indent=2))


COMMANDS = (hosts, inventory)
