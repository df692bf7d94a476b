"""`python -m backend.programs.training RUN_DIR`: one training run, SFT or GRPO; and dry runs of rewards."""
