"""`studio audit`: who did what."""

import time
from typing import Annotated, Any

import typer

from backend.audit import acts
from studio.cli import doors
from studio.cli.output import JSON_OPTION, explained, print_json, print_table

_SHOWN = ("time", "who", "act", "subject")


@explained
def audit(
    last: Annotated[int, typer.Option(min=1, help="How many.")] = 30,
    as_json: JSON_OPTION = False,
) -> None:
    """Print the last acts that changed something, with who did them: logins, datasets, rewards, runs, accounts."""
    found = acts(doors.workspace(), last)
    if as_json:
        print_json(found)
        return
    print_table(("when", "who", "what", "which", ""), [_row(act) for act in found], empty="Nothing was done yet.")


def _row(act: dict[str, Any]) -> tuple[str, ...]:
    said = {name: str(value)[:12] if name == "sha256" else str(value) for name, value in act.items()}
    try:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(act["time"])))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        moment = "?"
    details = " ".join(f"{name}={text}" for name, text in said.items() if name not in _SHOWN and text)
    return moment, said.get("who", "?"), said.get("act", "?"), said.get("subject", "?"), details
