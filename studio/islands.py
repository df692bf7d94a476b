"""Headings under their former address."""

from studio.headings import card_head, page_head

__all__ = ["card_head", "page_head"]
