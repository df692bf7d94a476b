"""The models that can be trained.

`models` says what they are, `parameters` how large, `trained` what a strategy trains, `checkpoints` where they lie.
"""
