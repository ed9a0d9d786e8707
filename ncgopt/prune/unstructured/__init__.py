"""Single weights become zero: which ones, and what the others become."""
