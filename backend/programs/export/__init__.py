"""`python -m backend.programs.export FOLDER`: merge, write, load again, and compare the answers.

`program` is the road, `certificate` says whether two models answer the same.
"""
