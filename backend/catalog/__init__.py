"""The models that can be trained, and the checkpoints that training leaves.

* `models`: the released ones; `download` of them
* `checkpoints`: found by name, whole or not, and byte for byte what was saved
* `model_folder`: whether a foreign folder may be loaded, by its `model_config` and its `model_files`
* `trainable_parameters`: what a strategy trains and the memory it takes; `disk_space`: what a run writes
"""
