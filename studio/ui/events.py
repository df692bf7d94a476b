"""Three ways an event may behave, so that tabs say which and repeat nothing.

All three let what the handler does be its account's. What a browser sent fits its components: `studio.web.event_gate`.
"""

import contextlib
import functools
import html
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from backend.audit import acting
from backend.errors import StudioError
from studio.ui.i18n import Translate, translator
from studio.web.login import NOBODY
from studio.web.login_gate import account_in

Handler = Callable[..., Any]
_END = object()
_log = logging.getLogger(__name__)


def refresh(trigger: Handler, fn: Handler, inputs: Any = None, outputs: Any = None) -> Any:
    """Redraw from disk: no spinner, no queue. `fn` must be quick and change nothing; the newest call wins."""
    return trigger(
        explained(fn, inputs),
        inputs,
        outputs,
        show_progress="hidden",
        queue=False,
        api_visibility="private",
        trigger_mode="always_last",
    )


def act(trigger: Handler, fn: Handler, inputs: Any = None, outputs: Any = None, *, t: Translate) -> Any:
    """Change something, once per click: a second click while `fn` runs is dropped; a StudioError becomes a toast."""
    return trigger(
        explained(fn, inputs, t),
        inputs,
        outputs,
        trigger_mode="once",
        api_visibility="private",
        show_progress="minimal",
    )


def stream(trigger: Handler, fn: Handler, inputs: Any = None, outputs: Any = None, *, t: Translate) -> Any:
    """Show a generator's values as they come, for any number of visitors at once."""
    return trigger(
        explained(fn, inputs, t),
        inputs,
        outputs,
        concurrency_limit=None,
        api_visibility="private",
        show_progress="hidden",
    )


def explained(fn: Handler, inputs: Any = None, t: Translate | None = None) -> Handler:
    """Wrap a handler so that a StudioError, or a disk that refuses, is shown, escaped. Generators stay generators.

    Args:
        fn: the handler; it takes the values of `inputs`.
        inputs: the components whose values a browser sends.
        t: of the page that says what is wrong; without it, of the page that the request came to.
    """
    kinds = [kind_of(component) for component in _listed(inputs)]
    if inspect.isgeneratorfunction(inspect.unwrap(fn.func if isinstance(fn, functools.partial) else fn)):

        def generate(request: gr.Request, *args: Any) -> Iterator[Any]:
            translate = t or _translator_of(request)
            try:
                with contextlib.closing(fn(*_filled(args, kinds))) as values:
                    while True:
                        with acting(who(request)):  # each step runs in a context of its own
                            value = next(values, _END)
                        if value is _END:
                            return
                        yield value
            except (StudioError, OSError) as error:
                raise _toast(error, translate) from error

        return generate

    def handle(request: gr.Request, *args: Any) -> Any:
        translate = t or _translator_of(request)
        try:
            with acting(who(request)):
                return fn(*_filled(args, kinds))
        except (StudioError, OSError) as error:
            raise _toast(error, translate) from error

    return handle


def who(request: gr.Request) -> str:
    """The account that an event belongs to."""
    return account_in(request.request.scope) or NOBODY


def kind_of(component: Any) -> type | None:
    """What a component holds, where an empty one is sent as nothing; None where nothing means something."""
    match component:
        case gr.Code() | gr.Textbox():
            return str
        case gr.Checkbox():
            return bool
        case gr.HTML():
            return type(component.value)
    return None


def _filled(args: Sequence[Any], kinds: Sequence[type | None]) -> Sequence[Any]:
    """The values, nothing as the emptiest of its kind."""
    return [kind() if kind and value is None else value for value, kind in zip(args, kinds, strict=True)]


def _listed(inputs: Any) -> list[Any]:
    if inputs is None:
        return []
    return list(inputs) if isinstance(inputs, list | tuple | set) else [inputs]


def _translator_of(request: gr.Request) -> Translate:
    return translator("zh" if request.request.scope.get("root_path", "").endswith("/zh") else "en")


def _toast(error: StudioError | OSError, t: Translate) -> gr.Error:
    if isinstance(error, OSError):  # a full disk above all; its path is nobody's business
        _log.exception("an event met a disk that refuses")
        error = StudioError(t("error.disk", why=error.strerror or type(error).__name__), hint=t("error.disk.hint"))
    text = "<br>".join(html.escape(line) for line in (error.message, error.hint))  # both may quote file names
    return gr.Error(text, title=t("error.title"), print_exception=False, duration=12)
