"""The web app whose runs are the fake trainer's: `python fake_studio.py WORKSPACE PORT [behaviour ...]`."""

import dataclasses
import os
import sys
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import uvicorn

from backend.settings import Workspace
from launcher.keeper_settings import KeeperSettings
from launcher.run_manager import RunManager
from studio.services import build_services
from studio.web.app_factory import create_app

FAKE = Path(__file__).with_name("fake_trainer.py")


def main() -> None:
    workspace = Workspace(Path(sys.argv[1]))
    workspace.prepare()
    services = build_services(workspace)
    settings = KeeperSettings(program=(sys.executable, str(FAKE), *sys.argv[3:]), poll_s=0.05, now_grace_s=1)
    services = dataclasses.replace(services, launcher=RunManager(workspace, services.runs, settings))
    uvicorn.run(create_app(services), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()
