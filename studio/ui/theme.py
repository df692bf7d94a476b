"""Colours, type and spacing of Gradio's own components; ours take the same from `static/css/base.css`."""

import gradio as gr
from gradio.themes.utils import colors, sizes

# system fonts only: nothing is fetched; a CJK monospace first would stretch Latin code
SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Helvetica Neue", "Arial", "PingFang SC",
        "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"]  # fmt: skip
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "Liberation Mono",
        "Noto Sans Mono CJK SC", "monospace"]  # fmt: skip
BRAND = colors.Color(
    name="brand", c50="#eef4ff", c100="#dbe6ff", c200="#bfd3ff", c300="#93b4ff", c400="#6089fb", c500="#3b66f5",
    c600="#2549e0", c700="#1e39b8", c800="#1d3391", c900="#1c2f73", c950="#141d46",
)  # fmt: skip
_LIGHT_AND_DARK: dict[str, tuple[str, str]] = {
    "body_background_fill": ("#f5f7fb", "#0b1020"),
    "body_text_color": ("#0f172a", "#e2e8f0"),
    "body_text_color_subdued": ("#5b6b82", "#94a3b8"),
    "background_fill_primary": ("white", "#121a2e"),
    "background_fill_secondary": ("#f8fafc", "#0f1628"),
    "border_color_primary": ("#dfe5ef", "#25304a"),
    "block_background_fill": ("white", "#121a2e"),
    "block_label_background_fill": ("transparent", "transparent"),
    "block_label_text_color": ("#334155", "#cbd5e1"),
    "block_title_text_color": ("#334155", "#cbd5e1"),
    "block_info_text_color": ("#5b6b82", "#94a3b8"),
    "input_background_fill": ("white", "#0f1628"),
    "input_border_color": ("#cfd8e6", "#2c3956"),
    "input_border_color_focus": ("#3b66f5", "#6089fb"),
    "input_placeholder_color": ("#66758c", "#8492a8"),
    "button_primary_background_fill": ("#2549e0", "#3b66f5"),
    "button_primary_background_fill_hover": ("#1e39b8", "#2549e0"),
    "button_primary_text_color": ("white", "white"),
    "button_secondary_background_fill": ("white", "#1a2440"),
    "button_secondary_background_fill_hover": ("#f1f5f9", "#22305a"),
    "button_secondary_border_color": ("#cfd8e6", "#2c3956"),
    "button_secondary_text_color": ("#0f172a", "#e2e8f0"),
    "button_cancel_background_fill": ("white", "#1a2440"),
    "button_cancel_background_fill_hover": ("#fff1f0", "#3a1614"),
    "button_cancel_border_color": ("#f3b8b2", "#5c2a28"),
    "button_cancel_text_color": ("#b42318", "#ff9d92"),
    "checkbox_label_background_fill": ("white", "#121a2e"),
    "checkbox_label_background_fill_selected": ("#eef4ff", "#16224a"),
    "checkbox_label_border_color": ("#dfe5ef", "#25304a"),
    "checkbox_label_text_color_selected": ("*neutral_900", "#e2e8f0"),
    "slider_color": ("#2549e0", "#6089fb"),
}


class StudioTheme(gr.themes.Base):
    """The studio's theme, light and dark."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=BRAND, secondary_hue="slate", neutral_hue="slate", radius_size=sizes.radius_md,
            text_size=sizes.text_md, spacing_size=sizes.spacing_md, font=SANS, font_mono=MONO,
        )  # fmt: skip
        self.name = "studio"
        both = {name: light for name, (light, _) in _LIGHT_AND_DARK.items()}
        both |= {f"{name}_dark": dark for name, (_, dark) in _LIGHT_AND_DARK.items()}
        self.set(
            **both,
            block_border_width="0px", block_shadow="none", block_padding="12px 14px", block_radius="10px",
            block_label_border_width="0px", block_label_text_weight="600", block_title_text_weight="600",
            block_title_text_size="13px", block_info_text_size="12px", button_border_width="1px",
            button_large_radius="9px", button_medium_radius="8px", button_small_radius="7px",
            button_large_text_weight="600", checkbox_label_border_width="1px", form_gap_width="0px",
            input_border_width="1px", input_radius="8px", input_shadow_focus="0 0 0 3px rgba(59,102,245,.18)",
            layout_gap="14px", table_radius="8px",
        )  # fmt: skip
