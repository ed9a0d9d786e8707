"""What another package adds to ncgopt."""
