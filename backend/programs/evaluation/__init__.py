"""`python -m backend.programs.evaluation RUN_DIR`: answer rows with each model, then score the answers.

`program` is the road, `rows` what is asked, `models` who answers, `scoring` how answers become a report.
"""
