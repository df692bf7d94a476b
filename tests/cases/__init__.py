"""Shapes of public sets and tools, small: what an import must make of each."""
