"""Rewards: what an answer earns. A person's own Python, which only ever runs in the limited worker.

`contract` is what goes there and comes back, `lint` looks without running, `library` ships ready ones, `composer` makes
one from parts, `store` keeps versions by content, `client` starts and talks to the worker, `report` is a dry run.
"""
