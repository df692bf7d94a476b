"""`studio`: the web app without arguments, and every act of it as a command."""

from pathlib import Path
from typing import Annotated

import typer

from backend.settings import default_workspace
from studio.cli import chatting, datasets, evaluating, exporting, machine, models, rewards, runs, training
from studio.cli.output import explained

app = typer.Typer(
    name="studio",
    help="Fine-tune Qwen2.5-VL: upload, train, watch, measure, talk. Without a command: the web app on http://127.0.0.1:7860.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(datasets.app, name="dataset")
app.add_typer(rewards.app, name="reward")
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.command("recipes")(training.recipes)
app.command("train")(training.train)
app.command("eval")(evaluating.evaluate)
app.command("chat")(chatting.chat)
app.command("export")(exporting.export)
app.command("doctor")(machine.doctor)
app.command("devices")(machine.devices)

HOST = Annotated[str, typer.Option(help="Address to listen on; only loopback ones need no account.")]
PORT = Annotated[int, typer.Option(min=1, max=65535)]
ROOT_PATH = Annotated[str, typer.Option(help="Path prefix behind a reverse proxy, e.g. /studio.")]
WORKSPACE = Annotated[Path | None, typer.Option(help="Folder that holds data/ and output/.")]


@app.callback(invoke_without_command=True)
def without_command(context: typer.Context) -> None:
    """Open the web app where no command is given."""
    if context.invoked_subcommand is None:
        ui()


@app.command()
@explained
def ui(host: HOST = "127.0.0.1", port: PORT = 7860, root_path: ROOT_PATH = "", workspace: WORKSPACE = None) -> None:
    """Serve the web app until Ctrl-C. Runs go on when it ends."""
    from studio.serving.server import serve  # noqa: PLC0415 - gradio takes two seconds that no other command should pay

    chosen = default_workspace() if workspace is None else type(default_workspace())(workspace.expanduser().resolve())
    serve(chosen, host=host, port=port, root_path=root_path)
