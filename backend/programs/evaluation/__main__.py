"""Evaluate one run's contestants: `python -m backend.programs.evaluation RUN_DIR`, started by the launcher."""

import sys

from backend.programs.evaluation.program import evaluate
from backend.runs.events import run_to_end

if __name__ == "__main__":
    sys.exit(run_to_end(evaluate))
