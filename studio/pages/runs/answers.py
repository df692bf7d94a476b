"""Answers of a run as its page shows them: to validation rows, and those it drew while it learned from rewards."""

import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args

from backend.conversation import PLACEHOLDER
from backend.runs.answers import (
    Prediction,
    Rollout,
    RolloutAnswer,
    read_predictions,
    read_rollouts,
    recorded_steps,
)
from backend.runs.folder import RunFolder
from studio.ui.views import turns_view

Which = Literal["all", "wrong", "changed"]
WHICH: tuple[Which, ...] = get_args(Which)
PAGE = 12  # rows in one answer
ROLLOUTS_PER_PAGE = 4  # questions in one answer
OFFERED = 200  # steps to choose from; a longer run's are thinned
SEARCHED = 200  # newest steps that a search reads
MOST_HITS = 50
NOTED = 300  # characters shown of what a reward logged
AROUND = 60  # characters shown on either side of what was found
_NOTHING: dict[str, Any] = {"steps": [], "step": 0, "older": None, "newer": None, "latest": 0, "start": 0, "total": 0,
                            "rows": []}  # fmt: skip


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
    steps = recorded_steps(folder.predictions)
    if not steps:
        return {"steps": [], "step": 0, "start": 0, "total": 0, "rows": []}
    chosen = step if step in steps else steps[-1]
    first = {(each.dataset, each.row): each.given for each in read_predictions(folder.predictions, steps[0])}
    pairs = [(each, first.get((each.dataset, each.row), "")) for each in read_predictions(folder.predictions, chosen)]
    wanted = [(each, before) for each, before in pairs if _is_wanted(each, before, which)]
    rows = [_row_view(each, before) for each, before in wanted[start : start + PAGE]]
    return {"steps": steps, "step": chosen, "start": start, "total": len(wanted), "rows": rows}


class _Text(NamedTuple):
    where: str  # question, gold or answer
    text: str


def rollouts_page(folder: RunFolder, step: int, start: int) -> dict[str, Any]:
    """One page of the groups drawn after one step.

    Args:
        folder: of the run.
        step: after which; the newest drawing where there is none after that step.
        start: first question of the page.

    Returns:
        `steps` to choose from, the `step` shown with its neighbours `older` and `newer`, the `latest`, `total`
        questions of it, `rows`; all empty without roll-outs.
    """
    steps = recorded_steps(folder.completions)
    if not steps:
        return _NOTHING
    chosen = step if step in steps else steps[-1]
    place = steps.index(chosen)
    groups = read_rollouts(folder.completions, chosen)
    rows = [_rollout_view(number, group) for number, group in enumerate(groups)][start : start + ROLLOUTS_PER_PAGE]
    return {
        "steps": _thinned(steps, chosen), "step": chosen, "older": steps[place - 1] if place else None,
        "newer": steps[place + 1] if place + 1 < len(steps) else None, "latest": steps[-1], "start": start,
        "total": len(groups), "rows": rows,
    }  # fmt: skip


def rollouts_with(folder: RunFolder, text: str) -> dict[str, Any]:
    """Questions of the newest drawings whose own text, gold answer or answers contain `text`, in any letter case.

    Returns:
        `hits` of at most `MOST_HITS` questions, newest step first, each once; `searched` steps; whether it `is_full`.
    """
    steps = recorded_steps(folder.completions)[: -SEARCHED - 1 : -1]
    hits: list[dict[str, Any]] = []
    for step in steps:
        for place, group in enumerate(read_rollouts(folder.completions, step)):
            hit = _hit(step, place, group, text)
            hits += [hit] if hit else []
            if len(hits) == MOST_HITS:
                return {"hits": hits, "searched": len(steps), "is_full": True}
    return {"hits": hits, "searched": len(steps), "is_full": False}


def _is_wanted(answer: Prediction, before: str, which: Which) -> bool:
    if which == "wrong":
        return answer.scores["exact_match"] < 1
    return which == "all" or answer.given != before


def _row_view(answer: Prediction, before: str) -> dict[str, Any]:
    images = [{"of": f"dataset/{answer.dataset}", "name": path.removeprefix("images/")} for path in answer.images]
    return {
        "id": answer.row,
        "dataset": answer.dataset,
        "turns": turns_view(answer.asked, images),
        "gold": answer.gold,
        "given": answer.given,
        "before": before,
        "is_right": answer.scores["exact_match"] == 1,
        "is_cut": answer.is_cut,
    }


def _hit(step: int, place: int, group: Rollout, text: str) -> dict[str, Any] | None:
    wanted = text.casefold()
    for where, passage in _texts(group):
        at = passage.casefold().find(wanted)
        if at >= 0:
            begin, end = max(0, at - AROUND), at + len(text) + AROUND
            excerpt = f"{'…' if begin else ''}{passage[begin:end]}{'…' if end < len(passage) else ''}"
            return {"step": step, "place": place, "row": group.row, "dataset": group.dataset, "where": where,
                    "excerpt": excerpt}  # fmt: skip
    return None


def _texts(group: Rollout) -> Iterator[_Text]:
    for answer in group.answers:
        yield _Text("answer", answer.text)
    yield _Text("gold", group.gold)
    for turn in group.asked:
        yield _Text("question", turn.content.replace(PLACEHOLDER, ""))


def _rollout_view(place: int, group: Rollout) -> dict[str, Any]:
    images = [{"of": f"dataset/{group.dataset}", "name": path.removeprefix("images/")} for path in group.images]
    ranked = sorted(group.answers, key=lambda answer: (answer.reward is None, -(answer.reward or 0.0)))
    return {
        "place": place, "id": group.row, "dataset": group.dataset, "turns": turns_view(group.asked, images),
        "gold": group.gold, "is_flat": not any(answer.advantage for answer in group.answers),
        "answers": [_answer_view(answer) for answer in ranked],
    }  # fmt: skip


def _answer_view(answer: RolloutAnswer) -> dict[str, Any]:
    values = [{"name": name, "is_part": "/" in name, "value": value} for name, value in answer.values.items()]
    noted = [{"name": name, "text": _as_text(value)} for name, value in answer.noted.items()]
    return answer.model_dump(exclude={"values", "noted"}) | {"values": values, "noted": noted}


def _as_text(value: Any) -> str:
    """What a reward logged of an answer, whatever it is, as a line to show."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= NOTED else f"{text[:NOTED]}…"


def _thinned(steps: list[int], chosen: int) -> list[int]:
    """At most about `OFFERED` steps, evenly spread, with the chosen and the last one among them."""
    every = -(-len(steps) // OFFERED)
    return sorted({*steps[::every], chosen, steps[-1]})
