"""The sandbox: one limited process for each reward, which is never trusted.

In the parent: `client` scores batches and restarts a lost worker; `process` is one running worker seen from outside.

In the child, which imports nothing of the project: `worker` speaks to the parent and runs the source, `return_values`
reads what the reward returned and logged. Before that, `namespaces`, `landlock`, `seccomp` and `rlimits` close what the
kernel lets them close, and `supervisor` sees that nothing outlives the worker or outgrows its totals.
"""
