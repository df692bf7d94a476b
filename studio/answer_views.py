"""The answers that a run gave to held-out rows, as its page shows them: beside the gold answer and the first one."""

from typing import Any, Literal, get_args

from backend.runs.folder import RunFolder
from backend.runs.predictions import Prediction, evaluated_steps, read_predictions
from studio.uploads.dataset_views import turns_view

Which = Literal["all", "wrong", "changed"]
WHICH: tuple[Which, ...] = get_args(Which)
PAGE = 12  # rows in one answer


def answers_page(folder: RunFolder, step: int, start: int, which: Which) -> dict[str, Any]:
    """One page of one evaluation.

    Args:
        folder: of the run.
        step: which evaluation; the last one where there is none at that step.
        start: first row of the page among those wanted.
        which: `wrong` are those that do not match exactly, `changed` those answered otherwise than at first.

    Returns:
        `steps` of all evaluations, the `step` shown, `total` rows wanted, `rows`; all empty without evaluations.
    """
    steps = evaluated_steps(folder.predictions)
    if not steps:
        return {"steps": [], "step": 0, "start": 0, "total": 0, "rows": []}
    chosen = step if step in steps else steps[-1]
    first = {(each.dataset, each.row): each.given for each in read_predictions(folder.predictions, steps[0])}
    pairs = [(each, first.get((each.dataset, each.row), "")) for each in read_predictions(folder.predictions, chosen)]
    wanted = [(each, before) for each, before in pairs if _is_wanted(each, before, which)]
    rows = [_row_view(each, before) for each, before in wanted[start : start + PAGE]]
    return {"steps": steps, "step": chosen, "start": start, "total": len(wanted), "rows": rows}


def _is_wanted(answer: Prediction, before: str, which: Which) -> bool:
    if which == "wrong":
        return answer.scores["exact_match"] < 1
    return which == "all" or answer.given != before


def _row_view(answer: Prediction, before: str) -> dict[str, Any]:
    pictures = [{"of": f"dataset/{answer.dataset}", "name": path.removeprefix("images/")} for path in answer.images]
    return {
        "id": answer.row,
        "dataset": answer.dataset,
        "turns": turns_view(answer.asked, pictures),
        "gold": answer.gold,
        "given": answer.given,
        "before": before,
        "is_right": answer.scores["exact_match"] == 1,
        "is_cut": answer.is_cut,
    }
