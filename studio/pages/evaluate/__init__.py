"""The Evaluate page: measure models on the same rows, look at answers, fix labels."""
