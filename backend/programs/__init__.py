"""All that imports torch: programs started with `python -m`, spoken to through a run's folder or a pipe.

* `training`: one training run on every rank, SFT or GRPO; and dry runs of rewards
* `evaluation`: answers of several models to the same rows, scored and compared
* `inference`: chat
* `export`: an adapter merged into its base, with a certificate that it answers the same
* `model`: what they share
"""
