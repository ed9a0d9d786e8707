"""Malformed and hostile files, and what must happen to each."""
