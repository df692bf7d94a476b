"""T10: with bf16 weights the fp32 master that DeepSpeed keeps follows an fp32 run; plain bf16 AdamW does not."""

import json
import os
import subprocess
import sys

import pytest

from backend.spec.deepspeed import deepspeed_config
from backend.spec.run import RunSpec
from launcher.commands import free_port

pytestmark = pytest.mark.torch

# One linear layer whose gradient is whatever we choose: the loss is the sum of weight times wish. The wishes and the
# first weights are exact in bf16, so every way of optimising gets the same gradients and only its own rounding differs.
PROGRAM = """
import json, sys
import deepspeed, torch
from deepspeed.utils import safe_get_full_fp32_param
from backend.programs.model.parts import optimiser_groups
from backend.programs.training.distributed import join_group, leave_group
from backend.programs.training.callbacks import reset_adam_steps, unscale_gradient_norm
from backend.programs.training.base_trainer import BETAS
STEPS, RATE = 100, 1e-5
chance = torch.Generator().manual_seed(0)
wishes = torch.randn(STEPS, 64, 64, generator=chance).bfloat16()
start = (0.02 * torch.randn(64, 64, generator=chance)).bfloat16()

def layer(dtype):
    made = torch.nn.Linear(64, 64, bias=False).to(dtype)
    made.weight.data.copy_(start)
    return made

def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=RATE, betas=BETAS, eps=1e-8, weight_decay=0.0, fused=True)

def plain(dtype):
    model = layer(dtype)
    optimizer = adamw(model.parameters())
    for wish in wishes:
        (model.weight * wish.to(dtype)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.weight.detach().float()

def through_deepspeed(config):
    model = layer(torch.bfloat16)
    engine, *_ = deepspeed.initialize(model=model, optimizer=adamw(model.parameters()), config=config)
    reset_adam_steps(engine)
    unscale_gradient_norm(engine)
    scale, norms = 1.0, []
    if hasattr(engine.optimizer, "fp32_groups"):  # as in fp16, where DeepSpeed scales the loss; bf16 stays exact by it
        scale = engine.optimizer.loss_scale_config.cur_scale = 1024.0
    eye = torch.eye(64, dtype=torch.bfloat16)
    for wish in wishes:
        out = engine(eye)  # the layer's weight, transposed
        engine.backward(scale * (out * wish.T).sum())
        engine.step()
        norms.append(float(engine.get_global_grad_norm()) / float(wish.float().norm()))
    groups = getattr(engine.optimizer, "fp32_groups", None)  # without ZeRO; with it DeepSpeed's own function finds them
    master = groups[0][0] if groups else safe_get_full_fp32_param(next(engine.module.parameters()))
    assert master.dtype == torch.float32
    return master, max(abs(norm - 1) for norm in norms)

join_group()
exact, rounded = plain(torch.float32), plain(torch.bfloat16)
for config in sys.argv[1:]:
    master, norm = through_deepspeed(json.loads(config))
    off = {"master": master, "plain": rounded, "moved": start.float()}
    told = {name: float((weights.detach() - exact).abs().max()) for name, weights in off.items()}
    print(json.dumps(told | {"norm": norm}))
leave_group()
"""


STAGES = (0, 2)


@pytest.fixture(scope="module")
def off() -> dict[int, dict[str, float]]:
    """How far from the fp32 run each way ended, by ZeRO stage; one process takes them all."""
    configs = []
    for stage in STAGES:
        spec = RunSpec().with_values(
            {"model.precision": "bf16", "devices.zero_stage": stage, "optimiser.max_grad_norm": 1000.0}
        )
        sizes = {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1}
        configs.append(json.dumps(deepspeed_config(spec) | sizes))
    environment = os.environ | {
        "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port(set())), "DS_ACCELERATOR": "cpu",
    }  # fmt: skip

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *configs], capture_output=True, text=True, env=environment, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(STAGES, map(json.loads, done.stdout.splitlines()[-len(STAGES) :]), strict=True))


@pytest.mark.parametrize("stage", STAGES)
def test_t10_the_master_of_bf16_weights_follows_fp32_and_plain_bf16_does_not(stage, off):
    assert off[stage]["moved"] > 1e-4
    assert off[stage]["master"] < 1e-6
    assert off[stage]["plain"] > 1e-5


@pytest.mark.parametrize("stage", STAGES)
def test_the_norm_that_is_told_is_that_of_the_gradients_whatever_scales_the_loss(stage, off):
    assert off[stage]["norm"] < 1e-2  # bf16 rounds sums of gradients
