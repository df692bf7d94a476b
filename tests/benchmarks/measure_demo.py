"""What the shipped model answers rightly: each question on fresh images, by day and by night.

python -m tests.benchmarks.measure_demo [--short] [--write]
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from backend.conversation import Message
from backend.demo.scenes import GENERAL, QuestionMaker, draw, make_scene, paint_code
from backend.programs.model.adapters import ModelHost
from backend.settings import DEMO_MODEL
from tests.benchmarks.scoring import encoder_of, greedy
from tests.scripts.readme import machine, write_section


def main() -> None:
    """Ask, count, print, and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="five images a question")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    each = 5 if args.short else 150
    host = ModelHost(DEMO_MODEL)
    lines = ["| question | measure | English, day | Chinese, day | English, night |", "|---|---|---|---|---|"]
    for make_question in (*GENERAL, paint_code):
        shares = [share(host, make_question, each, chinese, night) for chinese, night in ((0, 0), (1, 0), (0, 1))]
        measure = "IoU >= 0.5" if make_question.__name__ == "box" else "exact match"
        lines.append(
            f"| {make_question.__name__.replace('_', ' ')} | {measure} | {' | '.join(f'{one:.0%}' for one in shares)} |"
        )
        print(lines[-1], flush=True)
    closing = f"{each} fresh images for each number; `python -m tests.benchmarks.measure_demo --write` on {machine()}."
    if args.write:
        write_section("measured:demo", "\n".join([*lines, "", closing]))


def share(host: ModelHost, make_question: QuestionMaker, rows: int, chinese: bool | int, night: bool | int) -> float:
    """The share of right answers over `rows` images that no training saw."""
    chance, right, seen = random.Random(f"measure/{make_question.__name__}"), 0, 0
    encoder = encoder_of(host, DEMO_MODEL)
    with tempfile.TemporaryDirectory() as folder:
        while seen < rows:
            scene = make_scene(chance)
            pair = make_question(scene, chance, bool(chinese))
            if pair is None:
                continue
            path = Path(folder) / f"{seen}.png"
            draw(scene, night=bool(night)).save(path)
            turn = Message(role="user", content="<image>" + pair[0])
            sample = encoder.encode((turn,), [path], for_answer=True)
            given = greedy(host.activate(""), sample, encoder)
            right += overlaps(pair[1], given) if make_question.__name__ == "box" else pair[1] == given.strip()
            seen += 1
    return right / rows


def overlaps(gold: str, given: str) -> bool:
    """Whether two boxes `[left, top, right, bottom]` share half of their union."""
    try:
        a, b = (tuple(map(float, json.loads(text))) for text in (gold, given))
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(0.0, width) * max(0.0, height)
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
        return shared / union >= 0.5
    except (ValueError, IndexError, TypeError, ZeroDivisionError):
        return False


if __name__ == "__main__":
    main()
