"""The Rewards page: choose, compose, write and dry-run what an answer earns."""
