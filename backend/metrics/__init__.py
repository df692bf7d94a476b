"""How good answers are, in numbers: `answers` scores one, `intervals` says how sure a mean is."""
