"""A program that speaks a run folder's files without training: `python fake_trainer.py [behaviour ...] RUN_DIR`.

Standard library only. It stands for DeepSpeed's launcher with all that it starts, at the border between processes.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds a step takes")
    parser.add_argument("--outcome", default="finished", help="of the end event; `none` says nothing")
    parser.add_argument("--exit", type=int, default=0)
    parser.add_argument("--die-by", type=int, default=0, help="signal to kill itself with instead of exiting")
    parser.add_argument("--say", default="", help="written to stderr before the end; \\n makes lines")
    parser.add_argument("--flood", type=int, default=0, help="bytes to write to stdout")
    parser.add_argument("--error-note", default="", help="a note of level error before the end")
    parser.add_argument("--hang-after-end", action="store_true")
    parser.add_argument("--deaf", action="store_true", help="obeys neither stop.json nor SIGTERM")
    parser.add_argument("--children", type=int, default=0, help="ranks that obey nothing, in this session")
    parser.add_argument("--strays", type=int, default=0, help="children in sessions of their own that ignore SIGTERM")
    parser.add_argument("--leave-strays", action="store_true", help="end without ending them")
    parser.add_argument("--slow-save", type=float, default=0, help="seconds that saving takes, and is said to")
    parser.add_argument("--port-taken-once", action="store_true")
    parser.add_argument("--master_port", type=int, default=0)
    parser.add_argument("run_dir", type=Path)
    return parser.parse_args()


class Events:
    def __init__(self, path: Path) -> None:
        self.handle = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
        self.seq = 0

    def write(self, kind: str, step: int, **values: object) -> None:
        self.seq += 1
        line = {"v": 1, "seq": self.seq, "t": time.time(), "kind": kind, "step": step, "values": values}
        os.write(self.handle, json.dumps(line).encode() + b"\n")


def start_children(wanted: argparse.Namespace) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    for _ in range(wanted.children):
        subprocess.Popen([sys.executable, "-c", deaf])
    for _ in range(wanted.strays):
        subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True)


def take_steps(wanted: argparse.Namespace, events: Events) -> str | None:
    """Return the mode in which it was stopped, or None where every step was taken."""
    for step in range(1, wanted.steps + 1):
        events.write("metric", step, loss=1 / step)
        events.write("progress", step, total_steps=wanted.steps, seconds_left=0.0, phase="training")
        time.sleep(wanted.pause)
        stop = wanted.run_dir / "stop.json"
        if stop.exists() and not wanted.deaf:
            return json.loads(stop.read_text())["mode"]
    return None


def main() -> None:
    wanted = parse()
    if wanted.port_taken_once and not (wanted.run_dir / "port_seen").exists():
        (wanted.run_dir / "port_seen").write_text(str(wanted.master_port))
        sys.exit("RuntimeError: The server socket has failed to listen (errno: 98 - Address already in use).")
    if wanted.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start_children(wanted)
    events = Events(wanted.run_dir / "events.jsonl")
    mode = take_steps(wanted, events)
    for _ in range(0, wanted.flood, 1000):
        sys.stdout.write("x" * 999 + "\n")
    sys.stdout.flush()
    sys.stderr.write(wanted.say.replace("\\n", "\n"))
    if wanted.error_note:
        events.write("note", wanted.steps, level="error", text=wanted.error_note, hint="Do something else")
    if mode == "save" and wanted.slow_save:
        events.write("progress", wanted.steps, phase="saving")
        time.sleep(wanted.slow_save)
    if mode == "save":
        (wanted.run_dir / "final_model").mkdir()
        (wanted.run_dir / "final_model" / "complete.json").write_text("{}")
    if wanted.outcome != "none":
        events.write("end", wanted.steps, outcome="stopped" if mode else wanted.outcome, saved=mode != "now")
    if wanted.hang_after_end:
        time.sleep(300)
    if wanted.die_by:
        os.kill(os.getpid(), wanted.die_by)
    sys.exit(wanted.exit)


if __name__ == "__main__":
    main()
