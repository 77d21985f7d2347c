"""Miniature data sets, drawn: exactly the official formats, no photograph of anybody."""
