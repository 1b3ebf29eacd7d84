"""`mnas devices`."""

from __future__ import annotations

import click

from mnas.cli.output import Output, table, verb


@click.group("devices", invoke_without_command=True)
@verb("mnas.devices/1")
def command(output: Output, seed: int) -> None:
    """List devices: this host, one per TOML file in ./devices or the user's configuration, and phones plugged in.

    All are asked at the same time what they are. Below the list stands what to do about those that are not ready.

    \b
    Example:
      mnas devices
    """
    from mnas.devices import survey

    if click.get_current_context().invoked_subcommand:
        return
    rows = [
        {
            "name": seen.name,
            "transport": seen.transport,
            "processor": seen.facts.get("cpu_model", ""),
            "soc": seen.facts.get("soc", ""),
            "model": seen.facts.get("model", ""),
            "cores": seen.facts.get("cores", ""),
            "clusters": seen.facts.get("clusters", ""),
            "abi": seen.facts.get("abi", ""),
            "os": seen.facts.get("os", ""),
            "address": seen.address,
            "described": seen.described,
            "status": seen.status,
            "todo": seen.todo,
        }
        for seen in survey()
    ]

    def people() -> None:
        shown = [
            (row["name"], row["transport"], row["soc"] or row["processor"], row["clusters"], row["abi"], row["os"])
            for row in rows
        ]
        columns = ("name", "transport", "processor", "cores", "abi", "os", "status")
        table("devices", columns, [(*each, row["status"]) for each, row in zip(shown, rows, strict=True)])
        for row in rows:
            if row["todo"]:
                click.echo(f"{row['name']}: {row['todo']}")

    output.emit({"devices": rows}, people=people)


@command.command("add")
@click.argument("name", required=False)
@click.option("--transport", type=click.Choice(["adb", "ssh", "local"]), help="How to reach it.")
@click.option("--address", default="", help="Where: a phone's serial or HOST:PORT, a board's USER@HOST.")
@click.option("--python", default="", help="Interpreter on a board; python3 by default.")
@click.option("--binary", default="", help="Path here of a phone's benchmark_model.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@verb("mnas.devices.add/1")
def add(
    output: Output,
    seed: int,
    name: str | None,
    transport: str | None,
    address: str,
    python: str,
    binary: str,
    force: bool,
) -> None:
    """Describe a device in ./devices/NAME.toml: ask it what it is, and choose its big cores.

    Without --transport it is the only phone that is plugged in and not described yet.

    \b
    Examples:
      mnas devices add
      mnas devices add pixel --transport adb --address 1A2B3C4D
      mnas devices add pi --transport ssh --address pi@raspberrypi.local
    """
    from mnas.devices import Device, add_device, name_of, only_phone, readiness

    if transport is None:
        if address:
            raise click.UsageError("--address needs --transport: adb for a phone, ssh for a board")
        phone = only_phone()
        name, transport, address = name or name_of(phone), "adb", phone.serial
    if name is None:
        raise click.UsageError("give the device a name: mnas devices add NAME --transport ...")
    path, described, told = add_device(Device(name, transport, address, python, binary=binary), force=force)
    status, todo = readiness(described, told)

    def people() -> None:
        click.echo(f"{path}: {described.description}")
        if described.taskset:
            click.echo(f"runs on the big cores, mask {described.taskset}")
        click.echo(f"{status}: {todo}" if todo else f"{status}: use it with --device {name}")

    output.emit(
        {"file": str(path), "name": name, "taskset": described.taskset, "status": status, "todo": todo, "facts": told},
        people=people,
    )
