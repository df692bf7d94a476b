"""Make the small workspace that `test_earlier_workspace.py` opens, with the code of an earlier version.

Run it in a checkout of that version, under a root that names no machine, with that version's requirements installed:

    git worktree add /srv/studio 3bcec7f && cd /srv/studio
    env -i PATH=/usr/bin:/bin HOME=/srv PYTHONPATH=$PWD .venv/bin/python make_workspace.py \\
        /srv/studio-workspace workspace.tar.xz

It imports that version's modules and starts its command line, so that nothing in the archive is made by hand. What is
written depends on the clock and on ids that are drawn, so a second archive differs in its bytes.
"""

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色"}
SETTINGS = ("optimiser.max_steps=2", "saving.every_steps=1", "strategy.lora_rank=2")
REWARD = '''def reward(completions: list[str], answer: list[str], **columns) -> list[float]:
    """Pay {amount} for the gold answer."""
    return [{amount} * (text.strip() == gold) for text, gold in zip(completions, answer)]
'''


def main() -> None:
    """Make the workspace at argv[1], and pack it as argv[2]."""
    root, archive = Path(sys.argv[1]), Path(sys.argv[2])
    os.environ["STUDIO_WORKSPACE"] = str(root)
    source = root.with_name(f"{root.name}-source")
    source.mkdir(parents=True)
    _datasets(root, source)
    _rewards(source)
    studio("user", "add", "ana", "--password-stdin", stdin="correct horse battery\n")
    run = _runs()
    _pages(root, run)
    _pack(root, archive)


def studio(*words: str, stdin: str = "") -> str:
    """What the earlier version's command printed."""
    done = subprocess.run(
        [sys.executable, "-m", "studio.cli", *words], input=stdin, capture_output=True, text=True, check=False
    )
    print("studio", *words, "->", done.returncode, flush=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def _datasets(root: Path, source: Path) -> None:
    rows = []
    for index in range(16):
        colour = list(COLOURS)[index % 4]
        image = Image.new("RGB", (56, 56), "white")
        ImageDraw.Draw(image).ellipse((8 + index, 8, 40, 40), fill=colour)
        image.save(source / f"{index:02}.png")
        question = "<image>What colour is it?" if index % 2 else "<image>它是什么颜色？"
        answer = colour if index % 2 else COLOURS[colour]
        rows.append(
            {
                "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
                "images": [f"{index:02}.png"],
                "references": [answer.upper()],
            }
        )
    (source / "colours.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    studio("dataset", "import", str(source), "--name", "colours", "--heldout-share", "0.25")
    ids = [row["id"] for row in json.loads((root / "data/colours/data.json").read_text(encoding="utf-8"))]
    studio("dataset", "edit", "colours", "--answer", f"{ids[-1]}=lime", "--exclude", ids[-2])


def _rewards(source: Path) -> None:
    for amount in (1, 2):
        path = source / "gold.py"
        path.write_text(REWARD.format(amount=amount), encoding="utf-8")
        studio("reward", "save", "gold", str(path))
    studio("reward", "compose", "sum", "--part", "exact_match:1", "--part", "length:0.25")


def _runs() -> str:
    with_settings = [word for setting in SETTINGS for word in ("--set", setting)]
    studio("train", "lora", "--dataset", "colours", "--name", "first", *with_settings)
    run = json.loads(studio("runs", "--json"))[0]["run_id"]
    studio(
        "train",
        "grpo",
        "--dataset",
        "colours",
        "--reward",
        "sum",
        "--reward",
        "gold:0.5",
        "--name",
        "paid",
        *with_settings,
    )
    studio("eval", run, "--compare", "demo", "--dataset", "colours", "--name", "compared")
    studio("eval", run, "--check", "picture", "--dataset", "colours", "--name", "looked", "--metric", "sum")
    return run


def _pages(root: Path, run: str) -> None:
    """What only pages write: a conversation, and a blind vote."""
    from backend.conversation import Message
    from backend.settings import Workspace
    from studio.talking.kept_talks import TalkStore
    from studio.talking.kept_votes import VoteStore
    from studio.talking.manner import Manner
    from studio.talking.records import ColumnRecord, RevealRecord, SessionRecord, TalkPlace, TalkRecord, VoteRecord
    from studio.uploads.asked_pictures import asked_folder

    workspace, now = Workspace(root), time.time()
    manner = Manner(seed=7, most_tokens=32, temperature=0.5, top_p=0.9, repetition_penalty=1.1)
    picture = asked_folder(workspace) / "0123456789abcdef.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (28, 28), "red").save(picture)
    turns = (Message(role="user", content="<image>What colour is it?"), Message(role="assistant", content="red"))
    columns = (ColumnRecord(model=run, turns=turns, pictures=(picture.name,)),)
    TalkStore(workspace).save(
        TalkPlace("fedcba987654321001234567"),
        TalkRecord(id="", begun_at=now, saved_at=now, manner=manner, columns=columns),
    )
    votes, vote = VoteStore(workspace), "0123456789abcdef01234567"
    votes.begin(
        SessionRecord(
            id=vote, begun_at=now, models=(run, "demo"), dataset="colours", questions=2, seed=3, manner=manner
        )
    )
    session = votes.find(vote)
    votes.add(
        session,
        VoteRecord(question="000000000000", order=(1, 0), vote="right", answers=("blue", "green"), voted_at=now),
    )
    votes.add(session, RevealRecord(revealed_at=now))


def _pack(root: Path, archive: Path) -> None:
    """Everything but what browsers sent; tarfile leaves sockets out."""

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return None if entry.name.startswith("workspace/output/.uploads") else entry

    with tarfile.open(archive, "w:xz", preset=9) as packed:
        packed.add(root, "workspace", filter=kept)


if __name__ == "__main__":
    main()
