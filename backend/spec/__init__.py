"""What a run is asked to do.

`run` holds every knob once, `knobs` how one is declared, `strategies` what each trains, `reading` YAML and `--set`.
"""
