"""One module per framework; each imports its framework, so it is imported when a program needs it."""
