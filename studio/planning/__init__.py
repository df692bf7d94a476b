"""From a form to a run: the knobs' form, the plan beside it, the command that says the same."""
