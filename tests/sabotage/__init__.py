"""What happens when a safeguard of a rule is taken out: something must notice. `make sabotage`."""
