"""The Train page: what learns, from what, for how long."""
