"""How work becomes processes, and stays under control.

`run_manager` is the one door: it starts, queues, stops, finds again and deletes runs. `commands` says what is run and
`devices` on what; each run has a `keeper`, a small process that outlives us and judges its end by `exit_reasons`;
`reconciler` carries what folders and processes tell into the index; `processes` knows and signals them. `chat` talks to
models.
"""
