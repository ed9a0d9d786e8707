"""Whole channels, heads and hidden units go: which ones, how many, and what those that read them become."""
