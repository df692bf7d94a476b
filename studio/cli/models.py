"""`studio models`: list, get, add, check."""

from pathlib import Path
from typing import Annotated, Any

import typer

from backend.catalog.checkpoints import added_models, model_folder, resolve_checkpoint, verify, without_digest
from backend.catalog.model_folder import inspect
from backend.catalog.models import CATALOGUE
from backend.catalog.trainable_parameters import memory_by_strategy
from studio.cli import context
from studio.cli.output import JSON_OPTION, explained, print_json, print_table, say

MOST_NEGLIGIBLE_GB = 0.1

app = typer.Typer(help="Models: list, get, add, check.", invoke_without_command=True)


@app.callback()
@explained
def listing(ctx: typer.Context, as_json: JSON_OPTION = False) -> None:
    """List the models: size, memory need, licence, and whether they are on this machine."""
    if ctx.invoked_subcommand is not None:
        return
    models = [_described(name) for name in CATALOGUE]
    models += [{"name": name, "folder": str(path)} for name, path in added_models(context.workspace()).items()]
    if as_json:
        print_json(models)
        return
    rows = [
        (
            each["name"],
            _short(each["parameters"]) if "parameters" in each else "",
            f"{each['download_bytes'] / 1e9:.1f} GB" if each.get("download_bytes") else "ships with the studio",
            _memory(each.get("memory_gb", {})),
            each.get("licence", ""),
            "yes" if each["folder"] else "no",
        )
        for each in models
    ]
    columns = ("model", "parameters", "download", "GB to train: qlora / lora / full (estimate)", "licence", "here")
    print_table(columns, rows, empty="")


@app.command()
@explained
def get(name: str, as_json: JSON_OPTION = False) -> None:
    """Fetch a released model; called again, it goes on where it was cut off."""
    from backend.catalog.download import fetch_model  # noqa: PLC0415 - the hub's client is slow to import

    folder = fetch_model(name, context.workspace(), (lambda _: None) if as_json else say)
    print_json({"name": name, "folder": str(folder)}) if as_json else say(f"{name} is in {folder}")


@app.command()
@explained
def add(
    folder: Path,
    name: Annotated[str, typer.Option(help="Default: the folder's own name.")] = "",
    as_json: JSON_OPTION = False,
) -> None:
    """Make a Qwen2.5-VL folder known by a name; nothing is copied."""
    from backend.catalog.download import add_model  # noqa: PLC0415 - as above

    chosen = add_model(folder, name, context.workspace())
    print_json({"name": chosen}) if as_json else say(f"Added as {chosen}: studio train lora --model {chosen} ...")


@app.command()
@explained
def check(
    model: Annotated[str, typer.Argument(help="A model's name, a run, RUN/checkpoint-N, or a folder.")],
    as_json: JSON_OPTION = False,
) -> None:
    """Read every file of a model or checkpoint whole, and name what is damaged or may not be loaded."""
    checkpoint = resolve_checkpoint(model, context.workspace())
    folders: list[dict[str, Any]] = []
    notes: list[str] = []
    for folder in dict.fromkeys((checkpoint.folder, checkpoint.base_folder)):
        record = verify(folder)
        bare = without_digest(record.sizes, record.sha256) if record else []
        digest_count = len(record.sizes) - len(bare) if record else 0
        folders.append({"folder": str(folder), "files_as_saved": digest_count, "files_of_known_size_only": len(bare)})
        notes += inspect(folder, "adapter" if folder == checkpoint.adapter else "model").notes
    if as_json:
        print_json({"model": model, "folders": folders, "notes": notes})
        return
    for each in folders:
        say(f"{each['folder']}: {_checked(each['files_as_saved'], each['files_of_known_size_only'])}")
    for note in dict.fromkeys(notes):
        say(note)


def _checked(as_saved: int, size_only: int) -> str:
    if as_saved:
        return f"{as_saved} files are byte for byte what was saved"
    if size_only:
        return f"{size_only} files have the sizes they were saved with; this checkpoint has no digests yet"
    return "its files may be loaded; nobody has said what their bytes should be"


def _short(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 10**9 else f"{count / 1e6:.2f} M"


def _memory(need_gb: dict[str, float]) -> str:
    if not need_gb:
        return ""
    needs = [f"{need_gb[name]:.1f}" for name in ("qlora", "lora", "full") if need_gb.get(name, 0) >= MOST_NEGLIGIBLE_GB]
    return " / ".join(needs) or "under 0.1"


def _described(name: str) -> dict[str, Any]:
    model, folder = CATALOGUE[name], model_folder(name, context.workspace())
    return {
        "name": name,
        "title": model.title,
        "parameters": model.parameters,
        "download_bytes": model.download_bytes,
        "memory_gb": {key: round(need / 1e9, 1) for key, need in memory_by_strategy(model.parts).items()},
        "licence": model.licence,
        "folder": str(folder) if folder else None,
    }
