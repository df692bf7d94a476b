"""Rewards: functions that score a model's answers; a person's own Python runs only in the sandbox's worker.

| module            | what it holds                                                                        |
|-------------------|--------------------------------------------------------------------------------------|
| `contract`        | what goes to a reward and comes back; its source and version; isolation              |
| `builtin`         | the built-in rewards, a file each, read as text and never imported                   |
| `builtin_library` | their names, texts and what each pays                                                |
| `composition`     | a list of built-in rewards with weights, and the Python that a template makes of it  |
| `lint`            | what is wrong or odd about a source, found by parsing alone                          |
| `validation`      | names and sources that cannot be saved                                               |
| `store`           | a workspace's own rewards by version; records of dry runs; a run's own copies        |
| `trl_reward`      | a reward as TRL and evaluations call it                                              |
| `dry_run`         | the report of a dry run, `check.json`, and what it warns of                          |
| `sandbox`         | the process that runs a reward, and what closes it off from the machine              |
"""
