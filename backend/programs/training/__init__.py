"""`python -m backend.programs.training RUN_DIR`: one training run, SFT or GRPO; and dry runs of rewards.

* `program`: the road of a run; `build_trainer` for it; `distributed`: its process group
* `rows` it learns from, `batch_sampler`: which of them each micro-batch sees
* `base_trainer`, and on it `sft` and `grpo`; `rollouts`: sampled answers; `grpo_warnings` on their metrics
* `callbacks` between steps: `evaluation` on validation rows, `checkpoint_manager`, `run_logger`
* `reward_dry_run`: rewards tried on real rows before anything is trained
"""
