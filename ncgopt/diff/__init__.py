"""What two models have in common, and in what they differ: structure here, numbers by `ncgopt.verify`."""
