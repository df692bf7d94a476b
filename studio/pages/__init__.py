"""One folder a page: its layout, its components, its views and its routes. No page imports another."""
