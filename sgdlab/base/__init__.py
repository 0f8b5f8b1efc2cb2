"""What every other folder builds on: errors, checks, formatting, files, signals. Nothing imports torch."""
