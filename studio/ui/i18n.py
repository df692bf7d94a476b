"""Every string a person reads: `t("key")` for one language, from `static/locales/<lang>/*.json` and the knobs."""

import json
from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

from backend.datasets.problems import CODES
from backend.metrics.library import METRICS
from backend.rewards.builtin_library import builtin_names, builtin_summary
from backend.rewards.sandbox.client import SECURITY_STATEMENT
from backend.runs.evaluation_report import CONCLUSION_TEXTS
from backend.settings import STATIC
from backend.spec.knobs import knobs_of
from backend.spec.run import RunSpec

Language = Literal["en", "zh"]
Translate = Callable[..., str]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@cache
def catalogue(language: Language) -> dict[str, str]:
    """All keys of one language. English takes texts of knobs, hints and ready rewards from where they are written.

    Raises:
        ValueError: two files spell the same key.
    """
    texts: dict[str, str] = _texts_in_code() if language == "en" else {}
    for path in sorted((STATIC / "locales" / language).glob("*.json")):
        strings = json.loads(path.read_text(encoding="utf-8"))
        twice = texts.keys() & strings.keys()
        if twice:
            raise ValueError(f"{path.name} spells {sorted(twice)} again")
        texts |= strings
    return texts


def translator(language: Language) -> Translate:
    """Return `t(key, **values)`, which fills `{name}` places in the catalogue's text. KeyError for an unknown key."""
    strings = catalogue(language)

    def t(key: str, **values: object) -> str:
        text = strings[key]
        return text.format(**values) if values else text

    return t


def _texts_in_code() -> dict[str, str]:
    return _knob_strings() | _hint_strings() | _reward_strings() | _measure_strings()


def _measure_strings() -> dict[str, str]:
    strings = {f"conclusion.{code}": text for code, text in CONCLUSION_TEXTS.items()}
    for name, metric in METRICS.items():
        strings |= {f"measure.{name}": metric.label, f"measure.{name}.says": metric.description}
    return strings


def _hint_strings() -> dict[str, str]:
    return {f"problem.{code}.hint": facts.hint for code, facts in CODES.items()}


def _knob_strings() -> dict[str, str]:
    strings = {}
    for knob in knobs_of(RunSpec):
        strings[f"knob.{knob.path}.label"] = knob.label
        strings[f"knob.{knob.path}.help"] = knob.help
        if knob.unit:
            strings[f"unit.{knob.unit}"] = knob.unit
    return strings


def _reward_strings() -> dict[str, str]:
    strings = {"rewards.statement": SECURITY_STATEMENT}
    for reward in map(builtin_summary, builtin_names()):
        strings |= {f"reward.{reward.name}.about": reward.text, f"reward.{reward.name}.what": reward.what}
    return strings
