"""From a recipe to a spec that can start.

The recipes are YAML files here, one for each launch script of the framework this studio grew from. `library` reads
them, `resolve` makes a spec explicit with `versions` of what it names, `evaluation` does so for an evaluation, and
`preview` tells what a run would do.
"""
