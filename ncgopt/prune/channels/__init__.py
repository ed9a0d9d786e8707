"""Which channels of which values go together, and how they are cut out of a graph."""
