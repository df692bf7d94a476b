"""Check and store images in a pool of worker processes, so that a bad one harms only itself."""

import json
import os
import queue
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.datasets.limits import start_worker, worker_command
from backend.datasets.problems import UploadRefused

MAX_WORKERS = 8
IMAGES_PER_WORKER = 50  # below that, another worker takes longer to start than it saves
TIMEOUT_S = 30.0
START_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 1 << 20


class ImageOutcome(BaseModel):
    """What a worker says about one image. `code` is empty where it was kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = ""
    message: str = ""
    errno: int | None = None  # the disk refused
    width: int = 0
    height: int = 0
    stored: str = ""  # file name below the target folder
    bytes: int = 0
    sha256: str = ""  # of the file as uploaded
    warnings: tuple[tuple[str, str], ...] = ()  # code, message


class ImageWorkerLostError(Exception):
    """A worker ended or did not answer in time; carries the code for its image."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class ImagePool:
    """Hands images to workers and collects what they say.

    Args of the constructor: the folder that receives images, the longest time in seconds for one image, and the
    program to run, which speaks the protocol of `image_worker`.
    """

    def __init__(self, into: Path, timeout_s: float = TIMEOUT_S, argv: tuple[str, ...] = ()) -> None:
        self._argv = argv or worker_command("backend.datasets.image_worker", str(into))
        self._timeout_s = timeout_s

    def prepare(self, sources: list[Path], *, keep: bool = True) -> Iterator[tuple[Path, ImageOutcome]]:
        """Yield each source with its outcome, as they are done.

        With `keep` each image is stored; without, only its header is checked. Closing the generator ends the workers.

        Raises:
            UploadRefused: DISK_FULL, or the disk refuses otherwise.
        """
        waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for source in sources:
            waiting.put(source)
        done: queue.SimpleQueue[tuple[Path, ImageOutcome] | BaseException] = queue.SimpleQueue()
        ended = threading.Event()
        count = min(MAX_WORKERS, os.cpu_count() or 1, -(-len(sources) // IMAGES_PER_WORKER))
        threads = [threading.Thread(target=self._serve, args=(waiting, done, ended, keep)) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            for _ in sources:
                result = done.get()
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _serve(
        self, waiting: "queue.SimpleQueue[Path]", done: "queue.SimpleQueue[object]", ended: threading.Event, keep: bool
    ) -> None:
        """Run one worker after another until nothing waits. Whatever goes wrong reaches the reader of `done`."""
        worker: _Worker | None = None
        try:
            for source in _until_empty(waiting, ended):
                worker = worker or _Worker(self._argv)
                try:
                    outcome = worker.ask(source, keep, self._timeout_s)
                except ImageWorkerLostError as lost:
                    worker.end()
                    worker = None
                    outcome = ImageOutcome(code=lost.code, message=lost.message)
                if outcome.errno is not None:
                    raise OSError(outcome.errno, outcome.message, str(source))
                done.put((source, outcome))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads
            done.put(error)
        finally:
            if worker is not None:
                worker.end()


def _until_empty(waiting: "queue.SimpleQueue[Path]", ended: threading.Event) -> Iterator[Path]:
    while not ended.is_set():
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return


class _Worker:
    """One running worker process."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        """Start it and wait until it is ready. Raises UploadRefused where it does not start."""
        self._process = start_worker(argv)
        try:
            self._read_line(START_TIMEOUT_S)
        except ImageWorkerLostError as error:
            self.end()
            raise UploadRefused(
                "UPLOAD_UNREADABLE",
                "The program that decodes images does not start",
                hint="Run `studio doctor`; Pillow may be missing or memory too small",
            ) from error

    def ask(self, source: Path, keep: bool, timeout_s: float) -> ImageOutcome:
        """Send one request and wait for its answer. Raises WorkerLostError."""
        assert self._process.stdin is not None  # opened as a pipe above
        try:
            self._process.stdin.write(json.dumps({"source": str(source), "keep": keep}).encode() + b"\n")
            return ImageOutcome.model_validate_json(self._read_line(timeout_s))
        except (BrokenPipeError, ValidationError) as error:
            raise ImageWorkerLostError("IMG_CRASHED", "ends the program that decodes it") from error

    def end(self) -> None:
        """Kill it and forget it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read_line(self, timeout_s: float) -> bytes:
        assert self._process.stdout is not None  # opened as a pipe above
        handle, deadline, answer = self._process.stdout.fileno(), time.monotonic() + timeout_s, b""
        ready = select.poll()
        ready.register(handle, select.POLLIN)
        while not answer.endswith(b"\n"):
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise ImageWorkerLostError("IMG_TIMEOUT", f"takes longer than {timeout_s:g} s to decode")
            chunk = os.read(handle, MAX_ANSWER_BYTES)
            if not chunk or len(answer) > MAX_ANSWER_BYTES:
                raise ImageWorkerLostError("IMG_CRASHED", "ends the program that decodes it")
            answer += chunk
        return answer
