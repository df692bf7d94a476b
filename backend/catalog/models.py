"""The released models the studio knows, and the demo that ships: sizes, licences, starting rates."""

from dataclasses import dataclass

from backend.spec.strategies import How, PartName

GB = 10**9


@dataclass(frozen=True, slots=True)
class LearningRates:
    """Peak learning rates to start from.

    Source: 1e-5 / 1e-4 / 1e-5 / 5e-6 are what the public Qwen2.5-VL trainers (2U1, ms-swift) ship for the released
    sizes; a model of a million parameters wants rates about a hundred times higher, measured on the demo datasets.
    """

    language_full: float
    language_lora: float
    merger: float
    vision: float
    rewarded: float = 0.1  # share of a rate when learning from rewards: 1e-6 and 1e-5, as TRL and EasyR1 take them

    def suggested(self, part: PartName, how: How) -> float:
        """The rate for `part` when it is trained `how`."""
        if how == "lora":
            return self.language_lora  # an adapter starts at zero, wherever it stands
        full = {"language": self.language_full, "head": self.language_full, "merger": self.merger}
        return full.get(part, self.vision)


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """One line of the catalogue."""

    name: str  # what `--model` takes; for released models the hub's own id
    title: str
    parts: dict[PartName, int]  # parameters of each, counted from its config.json
    download_bytes: int
    licence: str
    rates: LearningRates

    @property
    def parameters(self) -> int:
        """All of them."""
        return sum(self.parts.values())


_RELEASED = LearningRates(language_full=1e-5, language_lora=1e-4, merger=1e-5, vision=5e-6)
_DEMO = LearningRates(language_full=1e-3, language_lora=3e-3, merger=1e-3, vision=1e-3, rewarded=0.5)

_HUB = "Qwen/Qwen2.5-VL-{}-Instruct"
_RESEARCH = "Qwen Research License (non-commercial)"


def _parts(vision: int, merger: int, language: int, head: int) -> dict[PartName, int]:
    return {"vision": vision, "merger": merger, "language": language, "head": head}


_3B = _parts(631_975_680, 36_708_608, 3_085_938_688, 0)
_7B = _parts(631_975_680, 44_574_464, 7_070_619_136, 544_997_376)
_32B = _parts(636_401_664, 52_440_320, 31_985_308_672, 778_567_680)
_72B = _parts(636_401_664, 68_172_032, 71_460_495_360, 1_245_708_288)

CATALOGUE: dict[str, CatalogModel] = {
    model.name: model
    for model in (
        CatalogModel("demo", "Demo (shapes)", _parts(392_544, 197_216, 673_920, 0), 0, "Apache-2.0", _DEMO),
        CatalogModel(_HUB.format("3B"), "Qwen2.5-VL 3B", _3B, int(7.5 * GB), _RESEARCH, _RELEASED),
        CatalogModel(_HUB.format("7B"), "Qwen2.5-VL 7B", _7B, int(16.6 * GB), "Apache-2.0", _RELEASED),
        CatalogModel(_HUB.format("32B"), "Qwen2.5-VL 32B", _32B, int(66.9 * GB), "Apache-2.0", _RELEASED),
        CatalogModel(_HUB.format("72B"), "Qwen2.5-VL 72B", _72B, int(146.8 * GB), "Qwen License", _RELEASED),
    )
}


def rates_for(base: str) -> LearningRates:
    """The starting rates of a model; one that is not in the catalogue takes those of the released models."""
    return CATALOGUE[base].rates if base in CATALOGUE else _RELEASED
