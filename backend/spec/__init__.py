"""What a run is asked to do.

run         the whole spec, made of the parts below
training    knobs of data, model, strategy, optimiser, batching, evaluation, saving, reporting, devices
grpo        knobs of learning from rewards
evaluation  knobs of an evaluation after training, and who answers in it
knobs       how a knob is declared, and which runs read it
strategies  the module table: which part of the model each strategy trains, and how
conflicts   settings that cannot work together
files       specs from YAML, JSON and `--set`, with every problem at once
steps       how many optimizer steps a run takes
deepspeed   the deepspeed.json of a run
"""
