"""One of the studio's own components: a bare frame in `gr.HTML`, brought to life by a script of `static/js`.

A frame never holds a value: Gradio reads templates as program text, so `${name}` of a hostile name would run as script.
Values reach the scripts as data, and the scripts write them as text.
"""

from typing import Any

import gradio as gr

SHARED_SCRIPTS = ("dom.js", "bubbles.js")


def island(
    script: str, source: str | tuple[str, ...], words: dict[str, str], tells: tuple[str, ...] = (), **shown: Any
) -> gr.HTML:
    """Frame the component `script` of `window.studio`, which the last `static/js/<source>` defines.

    The script gets an object `tell` with one function for each event that it `tells` the server.
    """
    tell = ", ".join(f"{event}: () => trigger('{event}')" for event in tells)
    sources = (source,) if isinstance(source, str) else source
    return gr.HTML(
        html_template=f"<div class='island {script}'></div>",
        js_on_load=f"window.studio.{script}(element.querySelector('.island'), props, watch, {{{tell}}})",
        head="".join(f"<script src='ui/js/{name}'></script>" for name in (*SHARED_SCRIPTS, *sources)),
        words=words,
        apply_default_css=False,
        **shown,
    )
