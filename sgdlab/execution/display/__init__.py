"""What a person sees: the progress of a run or a sweep, and how it ended."""
