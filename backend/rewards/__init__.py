"""Rewards: what an answer earns. A person's own Python, which only ever runs in the limited worker.

`contract` is what goes there and comes back, `lint` and `traps` look without running, `library` reads the `ready` ones,
`composer` makes one from parts, `store` keeps versions by content, `client` scores batches by way of `worker_process`,
which starts `worker` behind the `walls` that the kernel grants, `report` is a dry run.
"""
