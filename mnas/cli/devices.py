"""`mnas devices`."""

from __future__ import annotations

import click

from mnas.cli.output import Output, table, verb


@click.command("devices")
@verb("mnas.devices/1")
def command(output: Output, seed: int) -> None:
    """List the devices mnas knows: this host, and one per TOML file in ./devices or the user's configuration.

    \b
    Example:
      mnas devices
    """
    from mnas.devices import devices, facts

    rows = []
    for each in devices():
        known = facts(each)
        rows.append(
            {
                "name": each.name,
                "transport": each.transport,
                "processor": known["cpu_model"],
                "cores": known["cores"],
                "abi": known["machine"],
                "status": known["status"],
            }
        )

    def people() -> None:
        table("devices", list(rows[0]), [list(row.values()) for row in rows])

    output.emit({"devices": rows}, people=people)
