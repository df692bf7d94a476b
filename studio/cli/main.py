"""`studio`: the web app without arguments, and every act of it as a command."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.errors import SpecError
from backend.settings import default_workspace
from studio.cli import accounts, chat, dataset, doctor, evaluate, export, models, reward, runs, train
from studio.cli.output import explained

app = typer.Typer(
    name="studio",
    help="Fine-tune Qwen2.5-VL: upload, train, watch, measure, talk. Without a command: the web app on http://127.0.0.1:7860.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dataset.app, name="dataset")
app.add_typer(reward.app, name="reward")
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.command("recipes")(train.recipes)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("chat")(chat.chat)
app.command("export")(export.export)
app.add_typer(accounts.app, name="user")
app.command("audit")(accounts.audit)
app.command("doctor")(doctor.doctor)
app.command("devices")(doctor.devices)

HOST = Annotated[str, typer.Option(help="Address to listen on; only loopback ones need no account.")]
PORT = Annotated[int, typer.Option(min=1, max=65535)]
ROOT_PATH = Annotated[str, typer.Option(help="Path prefix behind a reverse proxy, e.g. /studio.")]
ALLOW_HOST = Annotated[
    list[str] | None,
    typer.Option(help="A further name to answer to, e.g. a reverse proxy's: studio.example.com; may be repeated."),
]
TRUST_PROXY = Annotated[
    bool, typer.Option("--trust-proxy", help="Take visitors' addresses from the last entry of X-Forwarded-For.")
]
MOST_UPLOAD = Annotated[float, typer.Option("--max-upload-gb", min=0.001, help="The most one upload may send, in GiB.")]
WORKSPACE = Annotated[Path | None, typer.Option(help="Folder that holds data/ and output/.")]


@app.command()
@explained
def ui(
    host: HOST = "127.0.0.1",
    port: PORT = 7860,
    root_path: ROOT_PATH = "",
    workspace: WORKSPACE = None,
    allow_host: ALLOW_HOST = None,
    trust_proxy: TRUST_PROXY = False,
    max_upload_gb: MOST_UPLOAD = 20.0,
) -> None:
    """Serve the web app until Ctrl-C. Runs go on when it ends. Where others can reach it, it needs an account."""
    from studio.web.allowed_hosts import GIB, NetworkAddress  # noqa: PLC0415 - as below
    from studio.web.server import serve  # noqa: PLC0415 - gradio takes two seconds that no other command should pay

    served = default_workspace() if workspace is None else type(default_workspace())(workspace.expanduser().resolve())
    address = NetworkAddress(host, tuple(allow_host or ()), trust_proxy, int(max_upload_gb * GIB))
    serve(served, host=host, port=port, root_path=root_path, address=address)


def _with_options_of(command: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a callback take every option of `command` behind its context, each defined there alone."""

    def decorate(callback: Callable[..., None]) -> Callable[..., None]:
        options = inspect.signature(command).parameters
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        callback.__signature__ = inspect.Signature([context, *options.values()])  # type: ignore[attr-defined]
        callback.__annotations__ = {"context": typer.Context} | {n: each.annotation for n, each in options.items()}
        return callback

    return decorate


@app.callback(invoke_without_command=True)
@_with_options_of(ui)
@explained
def without_command(context: typer.Context, **options: Any) -> None:
    """Open the web app where no command is given."""
    if context.invoked_subcommand is None:
        ui(**options)
        return
    misplaced = [name for name in options if _is_typed(context, name)]
    if misplaced:
        option = f"--{misplaced[0].replace('_', '-')}"
        raise SpecError(
            f"`{option}` belongs to `studio ui`, and stands before `{context.invoked_subcommand}`",
            hint=f"Write `studio ui {option} ...`; other commands find their workspace by STUDIO_WORKSPACE",
        )


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)  # by its name, since some versions of typer bring a click of their own
    return source is not None and source.name == "COMMANDLINE"
