"""Write the tables that our metrics are tested against: `python -m tests.scripts.metric_tables --python PYTHON`.

PYTHON is an interpreter of another environment, with the reference implementations: anls, jiwer, pycocoevalcap,
rouge-score, sacrebleu, scikit-learn, torchvision. VLMEvalKit and lmms-eval bring too much along to be installed: lay
their sources (`vlmeval`, `lmms_eval`) side by side in a folder and name it by `--kits`. A table whose reference is
missing is left as it is.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from backend.settings import ROOT
from tests.scripts.metric_cases import MAKERS, cases_of

TABLES = ROOT / "tests" / "metrics" / "tables"
PROGRAM = Path(__file__).with_name("reference_values.py")
GROUPS = {"cider": 25, "yes_no_f1": 20}  # rows that are scored together; in the other tables each row alone


def write_table(table: str, python: str, kits: str) -> str:
    """Have the reference score the cases of one table; say what came of it."""
    cases = cases_of(table)
    request = {"table": table, "kits": kits, "group": GROUPS.get(table, 1), "cases": cases}
    done = subprocess.run([python, PROGRAM], input=json.dumps(request), capture_output=True, text=True, check=False)
    if done.returncode:
        return f"left as it was: {done.stderr.strip().splitlines()[-1]}"
    rows = zip(cases, json.loads(done.stdout.splitlines()[-1]), strict=True)
    lines = [_line([case.golds if len(case.golds) > 1 else case.golds[0], case.given, value]) for case, value in rows]
    TABLES.mkdir(exist_ok=True)
    (TABLES / f"{table}.jsonl").write_text("".join(lines), encoding="utf-8")
    return f"{len(lines):,} cases"


def _line(entry: list[Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"


def main() -> None:
    """Write all tables, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=list(MAKERS), help="which to write")
    parser.add_argument("--python", required=True, help="interpreter with the reference packages")
    parser.add_argument("--kits", default="", help="folder with the unpacked vlmeval and lmms_eval")
    chosen = parser.parse_args()
    for table in chosen.tables:
        print(f"{table}: {write_table(table, chosen.python, chosen.kits)}")


if __name__ == "__main__":
    main()
