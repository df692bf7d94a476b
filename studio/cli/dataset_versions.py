"""`studio dataset edit|versions|restore|copy`: change what rows say, and find the way back."""

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from backend.datasets.editing import Edits
from backend.datasets.records import Manifest
from backend.errors import DatasetError
from backend.ids import DatasetName
from studio.cli import doors
from studio.cli.output import JSON_OPTION, explained, print_json, print_table, say

NAME = Annotated[str, typer.Argument(help="A dataset's name.")]
SHOWN_DIGITS = 12  # of a version's sha256


@explained
def edit(
    name: NAME,
    answer: Annotated[list[str] | None, typer.Option(metavar="ROW=TEXT", help="A row's new last answer.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="ROW", help="A row to leave out.")] = None,
    as_json: JSON_OPTION = False,
) -> None:
    """Correct answers and leave rows out, as a new version; the earlier ones stay."""
    edits = Edits(_answers(answer or ()), frozenset(exclude or ()))
    if not edits.answers and not edits.excluded:
        raise DatasetError("There is nothing to change", hint="Give --answer ROW=TEXT or --exclude ROW, each as often")
    before = doors.dataset_store().get(DatasetName(name))
    _tell(doors.dataset_store().apply_edits(name, edits), before, as_json)


@explained
def versions(name: NAME, as_json: JSON_OPTION = False) -> None:
    """List the versions of a dataset, newest first."""
    found = doors.dataset_store().versions(name)
    if as_json:
        print_json([version._asdict() for version in found])
        return
    rows = [
        (
            version.sha256[:SHOWN_DIGITS],
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.made_at)),
            version.rows,
            "current" if version.is_current else "",
            version.change,
        )
        for version in found
    ]
    print_table(("version", "made", "rows", "", "change"), rows, empty="")


@explained
def restore(
    name: NAME,
    sha256: Annotated[str, typer.Argument(metavar="SHA", help="A version: its first eight characters or more.")],
    as_json: JSON_OPTION = False,
) -> None:
    """Let an earlier version count again; what was made since stays a version too."""
    before = doors.dataset_store().get(DatasetName(name))
    _tell(doors.dataset_store().restore(name, sha256), before, as_json)


@explained
def copy(
    name: NAME,
    to: Annotated[str, typer.Option(metavar="SET", help="The dataset that gets them; made where there is none.")],
    row: Annotated[list[str] | None, typer.Option(metavar="ID", help="A row; give it once for each.")] = None,
    as_json: JSON_OPTION = False,
) -> None:
    """Copy rows with their pictures into another dataset; held-out rows stay held out."""
    store = doors.dataset_store()
    before = store.get(DatasetName(to)) if to in store.names() else None
    _tell(store.add_to_set(name, row or (), to), before, as_json)


def described(manifest: Manifest) -> dict[str, object]:
    """A dataset for machines: its manifest and its folder."""
    folder = doors.dataset_store().folder(DatasetName(manifest.name))
    return manifest.model_dump(mode="json") | {"folder": str(folder)}


def _answers(written: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in written:
        row, sign, text = each.partition("=")
        if not sign or not row or row in found:
            why = "is the second answer for its row" if row in found and sign else "names no row and answer"
            raise DatasetError(f"`{each}` {why}", hint="Write --answer ROW=TEXT, once for each row")
        found[row] = text
    return found


def _tell(manifest: Manifest, before: Manifest | None, as_json: bool) -> None:
    is_new = before is None or before.sha256 != manifest.sha256
    if as_json:
        print_json(described(manifest) | {"is_changed": is_new})
        return
    if not is_new:
        say(f"{manifest.name} is as it was: nothing to change.")
        return
    counts = manifest.statistics
    say(
        f"{manifest.name} is now version {manifest.sha256[:SHOWN_DIGITS]}: {manifest.change or 'as imported'}; "
        f"{counts.train_rows} training rows, {counts.heldout_rows} held out"
    )
