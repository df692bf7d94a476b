"""What the shipped demo model knows, and what it is measured with.

scenes    coloured shapes: drawing them, and questions about them
datasets  the demo datasets, drawn from a seed and imported like an upload
probes    a few questions for each ability, the same every time
"""
