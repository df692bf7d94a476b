"""`studio user`: the accounts of a workspace; `studio audit`: who did what."""

import sys
import time
from typing import Annotated, Any

import typer

from backend.audit import acts
from backend.errors import SpecError
from studio.cli import context
from studio.cli.output import JSON_OPTION, explained, print_json, print_table, say
from studio.web.account_file import AccountFile, invented, refuse_bad_name

app = typer.Typer(help="Accounts: add, list, remove, password.", no_args_is_help=True)
NAME = Annotated[str, typer.Argument(help="An account's name.")]
FROM_STDIN = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")]
MAKE = Annotated[bool, typer.Option("--make", help="Invent a password, and print it once.")]
_COLUMNS = ("time", "who", "act", "subject")


@app.command()
@explained
def add(name: NAME, password_stdin: FROM_STDIN = False, make: MAKE = False) -> None:
    """Make an account. From the first one on, the studio needs a login, also on this machine; running ones at once."""
    accounts = _accounts()
    refuse_bad_name(name)
    secret = _password(password_stdin, make)
    account = accounts.add(name, secret)
    _show(secret, make)
    say(f"`{account.name}` can log in.")


@app.command("list")
@explained
def list_(as_json: JSON_OPTION = False) -> None:
    """List the accounts."""
    accounts = _accounts().all()
    if as_json:
        print_json([{"name": each.name, "made_at": each.made_at} for each in accounts])
        return
    rows = [(each.name, time.strftime("%Y-%m-%d %H:%M", time.localtime(each.made_at))) for each in accounts]
    print_table(("account", "made"), rows, empty="There are no accounts: whoever uses this machine may use the studio.")


@app.command()
@explained
def remove(name: NAME) -> None:
    """Remove an account; its sessions are over at once."""
    accounts = _accounts()
    accounts.remove(name)
    say(f"`{name}` is removed." + ("" if accounts.all() else " There are no accounts any more."))


@app.command()
@explained
def password(name: NAME, password_stdin: FROM_STDIN = False, make: MAKE = False) -> None:
    """Give an account another password; who is logged in with the old one must log in again."""
    accounts = _accounts()
    accounts.refuse_unknown(name)
    secret = _password(password_stdin, make)
    account = accounts.set_password(name, secret)
    _show(secret, make)
    say(f"`{account.name}` has a new password.")


@explained
def audit(
    last: Annotated[int, typer.Option(min=1, help="How many.")] = 30,
    as_json: JSON_OPTION = False,
) -> None:
    """Print the last acts that changed something, with who did them: logins, datasets, rewards, runs, accounts."""
    records = acts(context.workspace(), last)
    if as_json:
        print_json(records)
        return
    print_table(("when", "who", "what", "which", ""), [_row(act) for act in records], empty="Nothing was done yet.")


def _accounts() -> AccountFile:
    return AccountFile(context.workspace())


def _password(from_stdin: bool, is_made: bool) -> str:
    """The password, by the way that was asked for; at a terminal it is typed twice and not shown."""
    if from_stdin and is_made:
        raise SpecError("--password-stdin and --make exclude each other", hint="Leave one of them out")
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if is_made:
        return invented()
    if not sys.stdin.isatty():
        raise SpecError("There is no terminal to ask for the password", hint="Add --password-stdin or --make")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _show(secret: str, is_made: bool) -> None:
    """Print a password that nobody else knows, once it counts."""
    if is_made:
        say(f"The password is {secret} · it is shown this once")


def _row(act: dict[str, Any]) -> tuple[str, ...]:
    texts = {name: str(value)[:12] if name == "sha256" else str(value) for name, value in act.items()}
    try:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(act["time"])))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        moment = "?"
    details = " ".join(f"{name}={text}" for name, text in texts.items() if name not in _COLUMNS and text)
    return moment, texts.get("who", "?"), texts.get("act", "?"), texts.get("subject", "?"), details
