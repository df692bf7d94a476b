"""What rewards do in earnest still works behind every wall, on this host and on poorer ones."""

import pytest
from PIL import Image
from reward_lab import QUICK, batch, poorer_host, worker

HOSTS = {"this host": (), "without namespaces": ("namespaces",)}
USES = {
    "arrays": "import numpy\nfound = float(numpy.linalg.det(numpy.eye(3)))",
    "likeness": "import rapidfuzz\nfound = rapidfuzz.fuzz.ratio('red', 'red') / 100",
    "images": "from PIL import Image\nfound = Image.open(images[0]).convert('RGB').width / 8",
    "mathematics": "from math_verify import parse, verify\nfound = verify(parse('$1/2$'), parse('$0.5$'))",
    "programs": "import subprocess\nfound = float(subprocess.run(['echo', '1'], capture_output=True).stdout)",
    "a shell": "import os\nfound = 1.0 - os.system('true')",
    "children": (
        "import multiprocessing\ncontext = multiprocessing.get_context('fork')\nours, theirs = context.Pipe()\n"
        "child = context.Process(target=theirs.send, args=(1.0,))\nchild.start()\nfound = ours.recv()\nchild.join()"
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n    found = sum(pool.map(float, [0, 1, 0]))"
    ),
    "coroutines": "import asyncio\nfound = asyncio.run(asyncio.sleep(0, result=1.0))",
    "coroutines with programs": (
        "import asyncio\nasync def told():\n    made = await asyncio.create_subprocess_exec('echo', '1', stdout=-1)\n"
        "    return float((await made.communicate())[0])\nfound = asyncio.run(told())"
    ),
    "temporary files": (
        "import tempfile\nwith tempfile.TemporaryDirectory() as folder, open(f'{folder}/a', 'w+') as file:\n"
        "    file.write('1')\n    file.seek(0)\n    found = float(file.read())"
    ),
    "random numbers": "import os, random, uuid\nfound = float(len(os.urandom(1)) and bool(uuid.uuid4()))",
}


@pytest.fixture(scope="module", params=HOSTS.values(), ids=HOSTS)
def started(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uses")
    (folder / "images").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "images" / "a.png")
    text = (
        "def reward(completions: list[str], images, **columns):\n    names = {'images': images}\n"
        "    exec(completions[0], names)\n    return [float(names['found'])]\n"
    )
    limits = QUICK._replace(seconds=60.0, readable=(folder / "images",))
    with worker(text, limits, program=poorer_host(folder, *request.param)) as made:
        assert made.isolation  # so that it is started here, and not in the folder of the first test
        yield lambda code: made.score(batch(code, images=[str(folder / "images" / "a.png")]))


@pytest.mark.parametrize("name", USES)
def test_rewards_may_use(started, name):
    scores = started(USES[name])

    assert (scores.failure, scores.values) == (None, (1.0,))
