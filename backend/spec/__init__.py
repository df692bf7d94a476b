"""What a run is asked to do: every knob once (`run`), how knobs are declared (`knobs`), what each strategy trains (`strategies`)."""
