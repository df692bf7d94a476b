"""`studio export`: one whole model from a checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.export import export_checkpoint
from studio.cli import context
from studio.cli.output import JSON_OPTION, explained, print_json, say

CHECKPOINT = Annotated[str, typer.Argument(help="A run id (its final model), RUN/checkpoint-N, or a folder.")]
TO = Annotated[Path, typer.Option("--to", help="A folder that does not exist yet.")]


@explained
def export(checkpoint: CHECKPOINT, to: TO, as_json: JSON_OPTION = False) -> None:
    """Merge a checkpoint into one whole model, and prove that it gives the same answers before it is there."""
    on_phase = (lambda _: None) if as_json else (lambda phase: say(f"{phase} ..."))
    report = export_checkpoint(context.launcher(), checkpoint, to.expanduser().absolute(), on_phase)
    if as_json:
        print_json(report.model_dump())
        return
    say(f"{report.folder}: {report.bytes / 1e6:,.1f} MB")
    how = "the same" if report.is_exact else "the same, as near as half precision can tell"
    say(
        f"{report.same_answers} of {report.questions} answers are {how}; "
        f"logits differ by at most {report.largest_difference:.1e}"
    )
