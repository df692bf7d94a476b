"""What the programs share: the model loaded, its parts, its inputs, its checkpoints."""
