"""The fast path: hand-written updates for simple networks and surfaces on the CPU.

eligibility    which runs take it
fast_updates   gradients and updates
fused_step     in-place steps of SGD, momentum and Adam
"""
