"""What every other folder builds on: errors, checks, formatting, files, signals. None of it imports torch."""
