"""Three ways an event may behave, so that tabs say which and repeat nothing."""

import functools
import html
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from backend.errors import StudioError
from studio.i18n import Translate

Handler = Callable[..., Any]


def refresh(trigger: Handler, fn: Handler, inputs: Any = None, outputs: Any = None) -> Any:
    """Redraw from disk: no spinner, no queue. `fn` must be quick and change nothing; the newest wish wins."""
    return trigger(
        fn, inputs, outputs, show_progress="hidden", queue=False, api_visibility="private", trigger_mode="always_last"
    )


def act(trigger: Handler, fn: Handler, inputs: Any = None, outputs: Any = None, *, t: Translate) -> Any:
    """Change something, once per click: a second click while `fn` runs is dropped; a StudioError becomes a toast."""
    return trigger(
        explained(fn, t), inputs, outputs, trigger_mode="once", api_visibility="private", show_progress="minimal"
    )


def stream(trigger: Handler, fn: Handler, inputs: Any = None, outputs: Any = None, *, t: Translate) -> Any:
    """Show a generator's values as they come, for any number of visitors at once."""
    return trigger(
        explained(fn, t), inputs, outputs, concurrency_limit=None, api_visibility="private", show_progress="hidden"
    )


def explained(fn: Handler, t: Translate) -> Handler:
    """Wrap a handler so that a StudioError is shown, escaped, as message and hint. Generators stay generators."""
    if inspect.isgeneratorfunction(inspect.unwrap(fn.func if isinstance(fn, functools.partial) else fn)):

        def generate(*args: Any) -> Iterator[Any]:
            try:
                yield from fn(*args)
            except StudioError as error:
                raise _toast(error, t) from error

        return generate

    def handle(*args: Any) -> Any:
        try:
            return fn(*args)
        except StudioError as error:
            raise _toast(error, t) from error

    return handle


def _toast(error: StudioError, t: Translate) -> gr.Error:
    shown = "<br>".join(html.escape(text) for text in (error.message, error.hint))  # both may quote file names
    return gr.Error(shown, title=t("error.title"), print_exception=False, duration=12)
