"""The page, read like a table of contents: a header, then the tabs in the order of the work."""

import html
from functools import partial
from types import ModuleType

import gradio as gr
import psutil

from backend.audit import ACTOR
from launcher.devices import CPU, describe
from studio.pages.data import layout as data
from studio.pages.evaluate import layout as evaluate
from studio.pages.guide import layout as guide
from studio.pages.playground import layout as playground
from studio.pages.rewards import layout as rewards
from studio.pages.runs import layout as runs
from studio.pages.train import layout as train
from studio.services import Services
from studio.ui.components import page_link
from studio.ui.events import refresh
from studio.ui.i18n import Language, Translate, translator
from studio.ui.shared_state import SharedState, new_states
from studio.web.login import NOBODY

TABS: dict[str, ModuleType] = {
    "data": data, "train": train, "rewards": rewards, "runs": runs, "evaluate": evaluate,
    "playground": playground, "guide": guide,
}  # fmt: skip
MOST_QUEUED = 200  # events that wait for their turn; more are refused
TEMP_FILES_S = (3600, 86_400)  # how often Gradio's copies are looked through, and how old they may grow


def build(services: Services, language: Language) -> gr.Blocks:
    """Draw the whole page in one language. Nothing is read from disk before a visitor comes."""
    t = translator(language)
    with gr.Blocks(title=t("app.name"), analytics_enabled=False, fill_width=True, delete_cache=TEMP_FILES_S) as page:
        header = _header(language, t)
        states, link = new_states(), page_link()
        with gr.Tabs(elem_id="nav", selected="data") as tabs:
            shared = SharedState(tabs, link, **states)
            for name, tab in TABS.items():
                with gr.Tab(t(f"tab.{name}"), id=name):
                    tab.build(services, shared, t)
        refresh(page.load, partial(machine, services, t), None, header)
    page._queue.max_size = MOST_QUEUED  # what `page.queue(...)` sets too, but it would assemble the whole app once more
    return page


def machine(services: Services, t: Translate) -> dict[str, str]:
    """Say what there is to run on and who is logged in, as the header shows it."""
    devices, who = services.launcher.devices, ACTOR.get()
    head = {"user": "", "who": ""} if who == NOBODY else {"user": who, "who": t("head.who", name=who)}
    if [device.name for device in devices] != [CPU]:
        return head | {"devices": describe(devices)}
    cores = len(psutil.Process().cpu_affinity() or [])
    return head | {"devices": t("head.cpu", cores=cores, memory=f"{devices[0].memory_bytes / 1e9:.0f}")}


def _header(language: Language, t: Translate) -> gr.HTML:
    other, address = ("zh", "zh/") if language == "en" else ("en", "../")
    keys = ("app.name", "head.other", "head.theme", "head.devices", "head.log_out")
    words = {key: html.escape(t(key)) for key in keys}
    frame = (
        "<header class='topbar'><img src='ui/logo.svg' alt='' width='28' height='28'>"
        f"<b>{words['app.name']}</b><span class='space'></span>"
        f"<span class='pill' title='{words['head.devices']}' hidden><i></i><span></span></span>"
        f"<a href='{address}' lang='{other}' hreflang='{other}'>{words['head.other']}</a>"
        f"<button type='button' class='theme' aria-label='{words['head.theme']}' "
        f"title='{words['head.theme']}'></button>"
        "<form class='who' method='post' action='logout' hidden><span></span>"
        f"<button>{words['head.log_out']}</button></form></header>"
    )
    return gr.HTML(
        value={}, html_template=frame, js_on_load="window.studio.topbar(element, props, watch)",
        head="<script src='ui/js/dom.js'></script><script src='ui/js/shell.js'></script>",
        nav_label=t("head.nav"), elem_id="topbar", apply_default_css=False,
    )  # fmt: skip
