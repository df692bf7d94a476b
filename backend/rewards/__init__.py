"""Rewards: what an answer earns. A person's own Python, which only ever runs in the limited worker.

`contract` is what goes there and comes back, `lint` and `traps` look without running, `library` reads the `ready` ones,
`composer` makes one from parts, `store` keeps versions by content, `client` scores batches by way of `worker_process`,
which starts `worker`, `report` is a dry run.

In the child, which imports nothing of this project: `worker` speaks to the parent and runs the source, `return_values`
reads what it returned; before that `namespaces`, `landlock`, `seccomp` and `rlimits` close what the kernel lets them
close, and `supervisor` sees that nothing outlives or outgrows it.
"""
