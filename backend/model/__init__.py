"""What the programs share: rendering, loading, the parts of the model, adapters, checkpoints. Needs torch."""
