"""One module a tab; tabs never import each other."""
