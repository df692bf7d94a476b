"""Every knob of the spec changes what the program does or sends."""

from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from backend.catalog.checkpoints import CheckpointRecord, resolve_checkpoint
from backend.datasets.store import DatasetStore, ImportOptions
from backend.errors import StudioError
from backend.ids import RunId
from backend.jsonl import write_atomically
from backend.runs.answers import read_predictions, recorded_steps
from backend.runs.events import read_all
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.deepspeed import deepspeed_config
from backend.spec.files import KNOBS
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
from launcher.commands import training_command
from tests.datasets.dataset_lab import folder_of
from tests.knob_values import NEEDED, OTHER_VALUES
from tests.programs.training.training_lab import Lab, mixed_rows

pytestmark = pytest.mark.torch

Witness = Callable[[Lab, RunSpec], Any]


def model_and_encoder(lab: Lab, spec: RunSpec):
    from backend.programs.model.encoder import Encoder
    from backend.programs.model.loading import choose_precision, load_base
    from backend.programs.model.parts import apply_strategy

    model = apply_strategy(load_base(lab.base, choose_precision("fp32")), spec)
    return model, Encoder(lab.base, spec.model.min_pixels, spec.model.max_pixels)


def rows_of(lab: Lab, spec: RunSpec):
    from backend.programs.model.encoder import Encoder
    from backend.programs.training.rows import TrainingRows
    from backend.row_length import RowMeter

    encoder = Encoder(lab.base, spec.model.min_pixels, spec.model.max_pixels)
    return TrainingRows(spec, lab.workspace, encoder, RowMeter(lab.base))


def plan(lab: Lab, spec: RunSpec) -> Any:
    """Which rows every pass of the run sees, of which length."""
    from backend.programs.training.batch_sampler import SftBatchSampler

    rows = rows_of(lab, spec)
    batches = SftBatchSampler(spec, rows, spec.processes, 0)
    return [source.name for source in rows.sources], rows.lengths, list(batches.all_steps())


def samples(lab: Lab, spec: RunSpec) -> Any:
    """The tokens and the image sizes of the first rows."""
    rows = rows_of(lab, spec)
    return [(rows[place].input_ids.tolist(), rows[place].grids.tolist()) for place in range(min(6, len(rows)))]


def arguments(lab: Lab, spec: RunSpec) -> Any:
    from backend.programs.model.loading import choose_precision
    from backend.programs.training.build_trainer import training_arguments

    folder = RunFolder(lab.workspace.root / "arguments")
    folder.path.mkdir(exist_ok=True)
    folder.deepspeed.write_text("{}")
    said = training_arguments(spec, folder, choose_precision("fp32"), 10).to_dict()
    return {name: value for name, value in said.items() if name not in ("output_dir", "logging_dir", "deepspeed")}


def precision(_: Lab, spec: RunSpec) -> Any:
    from backend.programs.model.loading import choose_precision

    return choose_precision(spec.model.precision)


def base(lab: Lab, spec: RunSpec) -> Any:
    try:
        return resolve_checkpoint(spec.model.base, lab.workspace).base_folder
    except StudioError as error:
        return error.message


def groups(lab: Lab, spec: RunSpec) -> Any:
    from backend.programs.model.parts import optimiser_groups

    found = optimiser_groups(model_and_encoder(lab, spec)[0], spec)
    return [(group["name"], group["lr"], group["weight_decay"], len(group["params"])) for group in found]


def adapters(_: Lab, spec: RunSpec) -> Any:
    from backend.programs.model.parts import lora_config

    return lora_config(spec).to_dict()


def batch(lab: Lab, spec: RunSpec) -> Any:
    from backend.programs.model.packing import Collator

    _, encoder = model_and_encoder(lab, spec)
    rows = rows_of(lab, spec)
    made = Collator(encoder, packing=spec.batching.packing, needs_image=False)([rows[0], rows[1]])
    return sorted(made), made["input_ids"].shape


def asked(lab: Lab, spec: RunSpec) -> Any:
    from backend.programs.model.prompts import validation_questions
    from backend.row_length import RowMeter

    return [each.row.id for each in validation_questions(spec, lab.workspace, RowMeter(lab.base))]


class StandingStill:
    """A trainer that is asked for its model only."""

    def __init__(self, model: object) -> None:
        self._model = model

    def unwrapped(self) -> object:
        return self._model

    def is_world_process_zero(self) -> bool:
        return True


def saved(lab: Lab, spec: RunSpec) -> Any:
    """Which steps get a checkpoint, when one is overdue, which evaluation is best, what stays, what becomes final."""
    from backend.programs.model.checkpoint import save_checkpoint
    from backend.programs.training.checkpoint_manager import CheckpointManager

    folder = lab.folder(f"saved {len(list(lab.workspace.output.iterdir()))}", spec)
    model, encoder = model_and_encoder(lab, spec)
    checkpoints = CheckpointManager(spec, folder, encoder)
    checkpoints.trainer = StandingStill(model)
    due = [step for step in range(1, 25) if checkpoints.is_due(step)]
    checkpoints._last_at -= 5 * 60
    series = [
        {"eval_loss": 2.0, "exact_match": 0.1, "similarity": 0.5},
        {"eval_loss": 1.0, "exact_match": 0.1, "similarity": 0.4},
        {"eval_loss": 3.0, "exact_match": 0.1, "similarity": 0.6},
    ]
    best = [checkpoints.update_best(metrics) for metrics in series]
    for step in (5, 6):
        save_checkpoint(model, encoder, spec, folder.path / f"checkpoint-{step}", step)
    checkpoints.best = "checkpoint-5"
    checkpoints.write_final(step=7)
    final = CheckpointRecord.model_validate_json((folder.final_model / "complete.json").read_bytes()).step
    checkpoints.best = ""
    checkpoints._remove_old()
    return due, checkpoints.is_overdue(), best, final, [path.name for path in folder.checkpoints()]


def mirrored(lab: Lab, spec: RunSpec) -> Any:
    """What Weights & Biases is told at the start, nothing where it is off."""
    import wandb

    from backend.programs.training.run_logger import wandb_logger_for

    told: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wandb, "init", lambda **given: told.append(given))
        wandb_logger_for(spec, RunFolder(lab.workspace.output / "mirrored"), is_first=True)
    return [(given["mode"], given["name"], given["project"]) for given in told]


def deepspeed(_: Lab, spec: RunSpec) -> Any:
    return deepspeed_config(spec)


def command(lab: Lab, spec: RunSpec) -> Any:
    folder = RunFolder(lab.workspace.output / "command")
    devices = tuple(f"cuda:{index}" for index in spec.devices.gpus) or ("cpu:0",)
    made = training_command(folder, devices, 1, threads=spec.devices.threads, processes=spec.devices.processes)
    return made.argv, made.env["OMP_NUM_THREADS"]


def claim(lab: Lab, spec: RunSpec) -> Any:
    """Which device a run gets while another one holds the only one there is."""
    workspace = Workspace(lab.workspace.root / f"claimed {uuid4().hex}")
    with closing(RunStore(workspace)) as store:
        store.add(RunId("first"), RunSpec(), 1.0)
        store.claim_next(("cpu:0",), lambda taken: 1)
        store.add(RunId("second"), spec, 2.0)
        got = store.claim_next(("cpu:0",), lambda taken: 2)
        return got.devices if got else None


WITNESSES: dict[str, Witness] = {
    "name": mirrored, "data.datasets": plan, "data.max_tokens": plan, "data.too_long": plan, "data.boxes": samples,
    "data.seed": plan, "model.base": base, "model.min_pixels": samples, "model.max_pixels": samples,
    "model.precision": precision, "strategy.name": groups, "strategy.lora_rank": adapters,
    "strategy.lora_alpha": adapters, "strategy.lora_dropout": adapters, "strategy.lora_vision": groups,
    "strategy.dora": groups, "strategy.rslora": adapters, "optimiser.epochs": plan, "optimiser.max_steps": plan,
    "optimiser.language_rate": groups, "optimiser.merger_rate": groups, "optimiser.vision_rate": groups,
    "optimiser.schedule": arguments, "optimiser.warmup_ratio": arguments, "optimiser.weight_decay": groups,
    "optimiser.max_grad_norm": arguments, "batching.batch_size": plan, "batching.accumulation_steps": plan,
    "batching.max_tokens": plan, "batching.packing": batch, "batching.gradient_checkpointing": arguments,
    "evaluation.rows": asked, "evaluation.metric": saved, "saving.every_steps": saved, "saving.every_minutes": saved,
    "saving.keep": saved, "saving.final": saved, "reporting.wandb": mirrored, "reporting.project": mirrored,
    "devices.gpus": command, "devices.shared": claim, "devices.processes": command, "devices.threads": command,
    "devices.zero_stage": deepspeed, "devices.offload_optimizer": deepspeed, "devices.offload_parameters": deepspeed,
    "devices.deepspeed": deepspeed,
}  # fmt: skip
ELSEWHERE = ("grpo.", "comparison.")  # test_grpo_knobs, test_evaluation_runs
IN_A_RUN = {"evaluation.own_metrics", "evaluation.every_steps", "evaluation.max_new_tokens", "evaluation.patience"}
# Values and circumstances in which the knob has something to change in these small datasets.
HERE: dict[str, dict[str, object]] = {
    "name": {"reporting.wandb": "offline"},
    "data.max_tokens": {"data.max_tokens": 2048},
    "data.too_long": {
        "data.max_tokens": 64,
        "data.datasets": [{"name": "large"}, {"name": "mixed"}],
        "model.max_pixels": 100 * 784,
    },
    "data.boxes": {"data.datasets": [{"name": "boxed"}]},
    "model.min_pixels": {"model.min_pixels": 16 * 784, "model.max_pixels": 100 * 784},
    "model.precision": {"model.precision": "auto"},
    "model.max_pixels": {"data.datasets": [{"name": "large"}]},
    "reporting.project": {"reporting.wandb": "offline"},
    "optimiser.epochs": {"optimiser.epochs": 3.0},
    "optimiser.max_steps": {"optimiser.epochs": 100.0},
    "saving.final": {"evaluation.every_steps": 10, "evaluation.rows": 2},
}
VALUES: dict[str, object] = {
    "data.datasets": [{"name": "mixed"}, {"name": "plain", "weight": 2.0}],
    "data.max_tokens": 64,
    "evaluation.rows": 3,
}
LORA = {"strategy.name": "lora", "optimiser.vision_rate": 1e-3}


@pytest.fixture(scope="module")
def more(lab: Lab) -> Lab:
    """The lab with images larger than most, and with answers that name boxes."""
    lab.dataset("large", images=6, side=300)
    lab.dataset("boxed", images=6, side=50, answer="[10, 10, 20, 20]")
    return lab


def test_every_knob_has_its_witness():
    assert set(WITNESSES) | IN_A_RUN == {path for path in KNOBS if not path.startswith(ELSEWHERE)}
    assert not set(WITNESSES) & IN_A_RUN


@pytest.mark.parametrize("path", WITNESSES)
def test_changing_a_knob_changes_what_the_program_does(path, more):
    around = (LORA if path.startswith("strategy.") else {}) | NEEDED.get(path, {}) | HERE.get(path, {})
    before = more.spec(around)
    after = before.with_values({path: VALUES.get(path, OTHER_VALUES[path])})

    assert WITNESSES[path](more, after) != WITNESSES[path](more, before)


@pytest.mark.parametrize(("share", "asked_rows"), [(0.0, 0), (0.2, 2)])
def test_no_run_asks_test_rows(lab, share, asked_rows):
    name = f"tested-{asked_rows}"
    plain = mixed_rows(images=0, texts=10)
    upload = {"train.json": plain["data.json"], "test.json": str(plain["data.json"]).replace("Say", "Repeat")}
    folder = folder_of(lab.workspace.root / f"upload-{name}", upload)
    DatasetStore(lab.workspace).import_dataset(folder, ImportOptions(name=name, validation_share=share))

    ids = asked(lab, lab.spec({"data.datasets": [{"name": name}], "evaluation.rows": 20}))

    validation = [row.id for row in DatasetStore(lab.workspace).rows(name, "validation")]
    assert ids == validation
    assert len(ids) == asked_rows


def test_rows_that_are_all_too_long_say_so_and_what_to_change(lab):
    spec = lab.spec(
        {"data.datasets": [{"name": "plain"}], "data.max_tokens": 64, "model.min_pixels": 2_000_000,
         "model.max_pixels": 2_000_000}
    )  # fmt: skip

    with pytest.raises(StudioError, match="longer than 64 tokens") as caught:
        rows_of(lab, spec)

    assert "max_tokens" in caught.value.hint


RUNS = {
    "as it is": {},
    "every two": {"evaluation.every_steps": 2},
    "impatient": {
        "evaluation.every_steps": 1, "evaluation.patience": 2, "evaluation.metric": "loss", "saving.final": "best",
        "optimiser.language_rate": 0.9, "optimiser.schedule": "constant", "optimiser.warmup_ratio": 0.0,
    },
    "brief": {"evaluation.max_new_tokens": 2},
    "two datasets": {"data.datasets": [{"name": "mixed"}, {"name": "plain"}], "saving.every_steps": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def ran(lab: Lab) -> dict[str, RunFolder]:
    """Short runs that answer three validation rows."""
    common = {"evaluation.rows": 3, "optimiser.max_steps": 5}
    return lab.train({name: lab.spec(common | changes) for name, changes in RUNS.items()})


def test_a_run_is_measured_at_its_start_and_its_end_and_on_the_way_where_asked(ran):
    assert recorded_steps(ran["as it is"].predictions) == [0, 5]
    assert recorded_steps(ran["every two"].predictions) == [0, 2, 4, 5]


def test_predictions_are_kept_row_by_row_with_their_scores(ran):
    first = read_predictions(ran["every two"].predictions, 0)
    last = read_predictions(ran["every two"].predictions, 5)

    assert len(first) == 3
    assert [each.row for each in first] == [each.row for each in last]
    assert all({"exact_match", "similarity"} <= set(each.scores) for each in first)
    assert [each.gold for each in first] == [each.gold for each in last]
    events = [event for event in read_all(ran["every two"].events) if event.kind == "metric"]
    means = {event.step: event.values for event in events if "eval_loss" in event.values}
    mean = sum(each.scores["similarity"] for each in last) / 3
    assert means[5]["similarity"] == pytest.approx(mean)
    assert means[5]["eval_loss"] < means[0]["eval_loss"]


def test_the_longest_answer_is_a_knob(ran):
    brief, usual = (read_predictions(ran[name].predictions, 0) for name in ("brief", "as it is"))

    assert all(each.is_cut for each in brief)
    assert sum(len(each.given) for each in brief) < sum(len(each.given) for each in usual)


def test_patience_ends_a_run_that_gets_no_better_and_the_best_is_kept(ran):
    events = read_all(ran["impatient"].events)
    losses = {event.step: event.values["eval_loss"] for event in events if "eval_loss" in event.values}

    steps = sorted(losses)
    best = min(steps, key=lambda step: losses[step])
    assert steps[-1] < 5
    assert steps[-1] == best + 2
    assert any("Stopped early" in event.values.get("text", "") for event in events if event.kind == "note")
    assert events[-1].kind == "end"
    assert events[-1].values["outcome"] == "finished"


def test_two_datasets_tell_their_losses_apart(ran):
    told = [event.values for event in read_all(ran["two datasets"].events) if "loss/mixed" in event.values]

    both = [(values["loss/mixed"], values["loss/plain"]) for values in told if "loss/plain" in values]
    assert len(told) == 5
    assert len(both) >= 3
    assert all(mixed != plain for mixed, plain in both)
    assert not [event for event in read_all(ran["as it is"].events) if "loss/mixed" in event.values]


def test_a_half_written_checkpoint_is_invisible(ran):
    folder = ran["two datasets"]
    assert [path.name for path in folder.checkpoints()] == ["checkpoint-2", "checkpoint-4"]

    (folder.path / "checkpoint-4" / "complete.json").rename(folder.path / "checkpoint-4" / "complete.json.tmp")

    assert [path.name for path in folder.checkpoints()] == ["checkpoint-2"]
    (folder.path / "checkpoint-4" / "complete.json.tmp").rename(folder.path / "checkpoint-4" / "complete.json")


def test_pruning_never_removes_the_best_or_the_newest(lab):
    from backend.programs.training.checkpoint_manager import CheckpointManager

    spec = lab.spec({"saving.keep": 1})
    folder = lab.folder("pruned", spec)
    for step in (1, 2, 3):
        (folder.path / f"checkpoint-{step}").mkdir()
        write_atomically(folder.path / f"checkpoint-{step}" / "complete.json", b"{}")
    checkpoints = CheckpointManager(spec, folder, None)
    checkpoints.best = "checkpoint-1"

    checkpoints._remove_old()

    assert [path.name for path in folder.checkpoints()] == ["checkpoint-1", "checkpoint-3"]
