"""Random models grown from the case files, optimized and compared: `make fuzz`."""
