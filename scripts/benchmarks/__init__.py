"""The parts of scripts/bench: one file a family of benchmarks, and what they share.

command.py    the command line                  table.py    rows, taking turns, the printed table, files
workers.py    peers in processes of their own   chart.py    bars and lines
step.py       one update of the notes' network: sgdlab beside scripts, Lightning, JAX, bare products
peers.py      those peers                       plain.py    the notes' script
batched.py    many runs as one model, and alone
"""
