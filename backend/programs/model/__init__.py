"""What the programs share: the model loaded, its inputs, its answers, its checkpoints.

* `loading` a model in its precision, `adapters` on one base, `parts` that learn or are frozen, `attention` for packed
  rows, `cpu_threads` on shared cores
* `prompts`: dataset rows as the model is asked them; `encoder`: from a row to tokens and patches; `packing`: samples
  to micro-batches; `vision_features` computed once for many answers
* `generation` of answers, in batches or token by token
* `checkpoint`: written whole or not at all
* `demo_model`: the one that ships, before it has learned anything
"""
