"""The batched engine: many runs of one shape as one model with an axis of runs.

trainer         the training loop of a batch
batch_indices   which examples each run uses in an update
functional      losses, gradients and evaluations at the weights of all runs, by vmap
curves          what the runs report
"""
