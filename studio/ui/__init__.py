"""What the pages share: wiring, theme, translations, forms from specs, components."""
