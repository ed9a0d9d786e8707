"""Verification in pieces: models too large to run whole are compared window by window."""
