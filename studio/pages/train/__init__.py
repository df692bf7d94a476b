"""The Train page: what learns, from what, for how long.

layout    the page, and what its events do
controls  the left column: cards, pickers, the fold of advanced settings
plan      the right column: what pressing Start would do
"""
