"""Rewards: choose, compose or write what an answer earns, and see what it would pay before anything learns from it."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from backend.errors import NotFoundError, RewardError, SpecError, StudioError
from backend.recipes.library import load_recipe
from backend.recipes.resolve import resolve
from backend.rewards.composition import RewardPart, compose
from backend.rewards.store import RewardStore
from studio.models import present_choices
from studio.pages.rewards import components
from studio.pages.rewards.composer import FIRST_PARTS, composer_view, parts_of, sentence
from studio.pages.rewards.dry_runs import MOST_ANSWERS, MOST_ROWS, RECIPE, DryRunRequest, dry_run_spec, last_dry_run
from studio.pages.rewards.editor import (
    COMPOSE,
    FIRST,
    NEW,
    EditorState,
    RewardDraft,
    copy_name,
    findings_view,
    head_view,
    is_same,
    isolation_text,
    key_of,
    list_view,
    name_of,
    new_drafts,
    save_reward,
    save_version,
    saved_text,
    template,
    version_choices,
)
from studio.services import Services
from studio.ui.components import card_head, page_head
from studio.ui.events import act, refresh
from studio.ui.i18n import Translate
from studio.ui.shared_state import RewardRequest, SharedState

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RewardsPage:
    """What the handlers of this tab share."""

    services: Services
    store: RewardStore
    t: Translate


@dataclass(frozen=True, slots=True)
class RewardEditor:
    """The editor's components, in the order `_editor_values` fills them."""

    rewards: gr.HTML
    state: gr.State
    head: gr.HTML
    composer: gr.HTML
    sentence: gr.HTML
    code: gr.Code
    findings: gr.HTML
    name: gr.Textbox
    save: gr.Button
    copy: gr.Button
    as_code: gr.Button
    older: gr.Accordion
    versions: gr.Dropdown
    report: gr.HTML

    @property
    def all(self) -> list[Any]:
        """Every one, in order."""
        return [getattr(self, name) for name in self.__dataclass_fields__]


def build(services: Services, shared: SharedState, t: Translate) -> None:
    """Lay out the tab, then wire it: one line per control."""
    page = RewardsPage(services, RewardStore(services.workspace), t)
    page_head(t("rewards.title"), t("rewards.about"))
    with gr.Row(equal_height=False, elem_classes="runs-columns"):
        with gr.Column(scale=4, min_width=300), gr.Column(elem_classes="card"):
            card_head(t("rewards.list"))
            rewards = components.reward_list(t)
        with gr.Column(scale=9, min_width=320):
            editor_parts, restore_button, isolation = _editor(t)
            request, run, train, report = _dry_run(t)
    editor = RewardEditor(*(rewards, gr.State(EditorState()), *editor_parts, report))
    edited = [editor.state, editor.name, editor.code, editor.composer]

    refresh(rewards.shown, partial(load, page), [rewards, *request[::3]], [rewards, *request[::3], isolation])
    opening = [rewards, editor.state, editor.code, editor.composer]
    refresh(rewards.input, partial(open_reward, page), opening, editor.all)
    refresh(editor.code.input, partial(lint_code, page), [editor.state, editor.code], editor.findings)
    refresh(editor.composer.input, partial(recompose, page), editor.composer, [editor.sentence, editor.code])
    act(editor.save.click, partial(save, page), edited, editor.all, t=t)
    act(editor.copy.click, partial(copy, page), [editor.state, editor.code], editor.all, t=t)
    act(editor.as_code.click, partial(edit_as_code, page), [editor.state, editor.code], editor.all, t=t)
    act(restore_button.click, partial(restore, page), [editor.state, editor.versions], editor.all, t=t)
    act(run.click, partial(dry_run, page), [*edited, *request], editor.all, t=t)
    refresh(report.done, partial(show_result, page), editor.state, [rewards, editor.head])
    act(train.click, partial(train_with, page), [editor.state, editor.code, request[0]], shared.reward, t=t)


def _editor(t: Translate) -> tuple[list[Any], gr.Button, gr.Markdown]:
    """The card of the chosen reward: what it says, how it is made, its older versions, where it runs."""
    with gr.Column(elem_classes="card"):
        head = components.reward_head(t)
        composer, pay_sentence = components.reward_composer(t), components.pay_sentence(t)
        with gr.Row(equal_height=False, elem_classes="writing"):
            with gr.Column(scale=7, min_width=280):
                code = gr.Code(
                    language="python",
                    label=t("rewards.code"),
                    lines=14,
                    max_lines=26,
                    interactive=True,
                    wrap_lines=True,
                    elem_id="reward-code",
                )
            with gr.Column(scale=3, min_width=220):
                findings = components.reward_findings(t)
        name = gr.Textbox(
            label=t("rewards.name"),
            info=t("rewards.name.help"),
            max_lines=1,
            max_length=80,
            visible=False,
            elem_id="reward-name",
        )
        with gr.Row(elem_classes="actions"):
            save = gr.Button(t("rewards.save"), size="sm", variant="primary", visible=False, elem_id="reward-save")
            copy = gr.Button(t("rewards.copy"), size="sm", visible=False, elem_id="reward-copy")
            as_code = gr.Button(t("rewards.as_code"), size="sm", visible=False, elem_id="reward-as-code")
        with gr.Accordion(t("rewards.versions"), open=False, visible=False, elem_id="reward-versions") as older:
            versions = gr.Dropdown([], label=t("rewards.versions.which"), elem_id="reward-version")
            restore_button = gr.Button(t("rewards.restore"), size="sm", elem_id="reward-restore")
        gr.Markdown(t("rewards.statement"), elem_classes="hint")
        isolation = gr.Markdown("", elem_classes="hint walls")
    return (
        [head, composer, pay_sentence, code, findings, name, save, copy, as_code, older, versions],
        restore_button,
        isolation,
    )


def _dry_run(t: Translate) -> tuple[list[Any], gr.Button, gr.Button, gr.HTML]:
    """The card of the dry run: what to ask, the buttons, what came of it."""
    usual = load_recipe(RECIPE).spec.grpo
    with gr.Column(elem_classes="card"):
        card_head(t("check.title"))
        gr.Markdown(t("check.about"), elem_classes="hint")
        with gr.Row(elem_classes="knobs"):
            dataset = gr.Dropdown([], label=t("check.dataset"), min_width=180, elem_id="check-dataset")
            rows = gr.Number(
                usual.check_rows,
                label=t("check.rows"),
                precision=0,
                minimum=1,
                maximum=MOST_ROWS,
                min_width=120,
                elem_id="check-rows",
            )
            answers = gr.Number(
                usual.generations,
                label=t("check.answers"),
                precision=0,
                minimum=2,
                maximum=MOST_ANSWERS,
                min_width=120,
                elem_id="check-answers",
            )
            model = gr.Dropdown([], label=t("check.model"), min_width=180, elem_id="check-model")
        with gr.Row(elem_classes="actions"):
            run = gr.Button(t("check.start"), size="sm", variant="primary", elem_id="dry-run")
            train = gr.Button(t("rewards.train"), size="sm", elem_id="train-with-it")
        report = components.dry_run_report(t)
    return [dataset, rows, answers, model], run, train, report


def load(page: RewardsPage, rewards: Value, dataset: str | None, model: str | None) -> list[Any]:
    """Offer what is there now: rewards, datasets, models; say what rewards are kept from."""
    names = [str(manifest.name) for manifest in page.services.datasets.manifests()]
    usual = next((name for name in load_recipe(RECIPE).demo_datasets if name in names), next(iter(names), None))
    models = present_choices(page.services, page.t)
    chosen_model = model if model in {reference for _, reference in models} else models[0][1] if models else None
    return [
        list_view(page.store, str((rewards or {}).get("chosen", "")), page.t),
        gr.Dropdown(choices=names, value=dataset if dataset in names else usual),
        gr.Dropdown(choices=models, value=chosen_model),
        isolation_text(page.t),
    ]


def open_reward(page: RewardsPage, rewards: Value, state: EditorState, code: str | None, composer: Value) -> list[Any]:
    """Show the chosen reward; what was typed for another one is kept for later."""
    key = list_view(page.store, str((rewards or {}).get("chosen") or FIRST), page.t)["chosen"]
    drafts = state.with_draft(page.store, code or "")
    if key == state.key and key in drafts and name_of(key) in page.store.names():  # opened again: seen as it is now
        drafts = drafts | {key: RewardDraft(drafts[key].text, page.store.get(name_of(key)).sha256)}
    return _editor_values(page, key, drafts, composer=composer if state.is_composed and state.key == key else None)


def lint_code(page: RewardsPage, state: EditorState, code: str | None) -> Value:
    """Say what stands out in the text while it is being typed."""
    return findings_view(code or "", saved_text(page.store, state.key))


def recompose(page: RewardsPage, composer: Value) -> tuple[Value, str]:
    """Say what the chosen parts pay, and write it as Python."""
    try:
        parts = parts_of(composer, page.t)
        if not parts:
            raise SpecError(page.t("compose.none"), hint=page.t("compose.none.hint"))
        return {"sentence": sentence(parts, page.t)}, compose(parts)
    except SpecError as error:
        return {"problem": error.message, "hint": error.hint}, ""


def save(page: RewardsPage, state: EditorState, name: str, code: str | None, composer: Value) -> list[Any]:
    """Keep the text or the composition as the reward's newest version. Raises SpecError where it cannot be one."""
    source = save_reward(page.store, state, name, code or "", composer, page.t)
    gr.Info(page.t("rewards.saved", name=source.name, version=source.sha256[:8]), title=page.t("rewards.title"))
    return _editor_values(page, key_of(source.name), state.without_draft())


def copy(page: RewardsPage, state: EditorState, code: str | None) -> list[Any]:
    """Begin a new reward with this one's text. Raises SpecError where that would take the place of another new one."""
    drafts = new_drafts(page.store, state, code or "", page.t)
    return _editor_values(page, NEW, drafts, name=copy_name(page.store, name_of(state.key)))


def edit_as_code(page: RewardsPage, state: EditorState, code: str | None) -> list[Any]:
    """Leave the composer: its Python becomes a text to be changed by hand. Raises SpecError as `copy` does."""
    if not name_of(state.key):
        return _editor_values(page, NEW, new_drafts(page.store, state, code or "", page.t), by_hand=True)
    return _editor_values(
        page, state.key, state.drafts | {state.key: RewardDraft(code or "", state.base_sha256)}, by_hand=True
    )


def restore(page: RewardsPage, state: EditorState, version: str | None) -> list[Any]:
    """Make an older version the current one again. Raises NotFoundError where it is gone."""
    source = page.store.version(name_of(state.key), version or "")
    save_version(page.store, state, source.name, source.text, page.t)
    return _editor_values(page, state.key, state.without_draft())


def dry_run(
    page: RewardsPage, state: EditorState, name: str, code: str | None, composer: Value, *fields: Any
) -> list[Any]:
    """Save what was changed, then start a dry run of it. Raises StudioError with the reason why it cannot start."""
    request = DryRunRequest(*fields)
    if request.model not in {reference for _, reference in present_choices(page.services, page.t)}:
        raise NotFoundError(page.t("play.gone", model=str(request.model)), hint=page.t("check.model.hint"))
    if not request.dataset:
        raise SpecError(page.t("problem.no_dataset"), hint=page.t("train.empty.help"))
    dry_run_spec(page.store.get("exact_match"), request, page.t)  # its mistakes are told before anything is saved
    source = save_reward(page.store, state, name, code or "", composer, page.t)
    spec = dry_run_spec(source, request, page.t)
    page.services.launcher.submit(resolve(spec, page.services.workspace))
    return _editor_values(page, key_of(source.name), state.without_draft())


def show_result(page: RewardsPage, state: EditorState) -> tuple[Value, Value]:
    """Say in the list and over the editor what the dry run has just found."""
    key = state.key or FIRST
    return list_view(page.store, key, page.t), head_view(page.store, key, page.t)


def train_with(page: RewardsPage, state: EditorState, code: str | None, dataset: str | None) -> RewardRequest:
    """Ask that Train takes this reward and the dataset. Raises StudioError for what a run would refuse."""
    name = name_of(state.key)
    if not name or not is_same(code or "", saved_text(page.store, state.key)):
        raise SpecError(page.t("rewards.save_first"), hint=page.t("rewards.save_first.hint"))
    if not page.store.is_checked(page.store.get(name)):
        raise RewardError(page.t("rewards.check_first", name=name), hint=page.t("rewards.check_first.hint"))
    return name, time.time(), dataset or ""


def _editor_values(
    page: RewardsPage,
    key: str,
    drafts: dict[str, RewardDraft],
    *,
    name: str = "",
    composer: Value | None = None,
    by_hand: bool = False,
) -> list[Any]:
    """Everything that the editor shows of one reward, in the order of `RewardEditor`."""
    t, store = page.t, page.store
    saved, own = saved_text(store, key), name_of(key) in store.names()
    saved_parts = FIRST_PARTS if key == COMPOSE else store.parts_of(name_of(key)) if own and not by_hand else None
    parts = None if key in drafts and key != COMPOSE else _current(page, composer, saved_parts)
    if parts and (saved is None or dict(parts) != dict(saved_parts or ())):
        text = compose(parts)
    elif parts is None and key in drafts:
        text = drafts[key].text
    else:
        text = template(t) if saved is None else saved
    report = last_dry_run(page.services.runs, store, store.get(name_of(key))) if saved is not None else ""
    versions = version_choices(store, name_of(key), t) if own else []
    is_builtin = saved is not None and not own
    base_sha256 = drafts[key].base_sha256 if key in drafts else store.get(name_of(key)).sha256 if own else ""
    return [
        list_view(store, key, t),
        EditorState(key, parts is not None, drafts, base_sha256),
        head_view(store, key, t),
        composer_view(parts, t) if parts else {},
        {"sentence": sentence(parts, t)} if parts else {},
        gr.Code(value=text, interactive=not is_builtin and not parts),
        findings_view(text, saved) | {"is_quiet": is_builtin or parts is not None},
        gr.Textbox(value=name, visible=saved is None),
        gr.Button(visible=not is_builtin),
        gr.Button(visible=saved is not None),
        gr.Button(visible=parts is not None),
        gr.Accordion(visible=len(versions) > 1),
        gr.Dropdown(choices=versions, value=versions[0][1] if versions else None),
        {"run_id": report},
    ]


def _current(
    page: RewardsPage, composer: Value | None, saved_parts: tuple[RewardPart, ...] | None
) -> tuple[RewardPart, ...] | None:
    """The parts as they stand in the composer, else as they were saved."""
    try:
        return tuple(parts_of(composer, page.t)) or saved_parts if composer else saved_parts
    except StudioError:
        return saved_parts
