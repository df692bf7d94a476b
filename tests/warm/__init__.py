"""Programs of tests without their ten seconds of imports: one process has torch imported, and forks for each of them.

`sitecustomize` stands on the PYTHONPATH of every process that a test starts, in a folder with the `socket` of the
`server`. A start of `python -m backend.programs...` hands its descriptors, folder and environment over, stays as a
proxy that passes signals on, and ends as the fork ends. Every other start of Python goes on as it would.
"""
