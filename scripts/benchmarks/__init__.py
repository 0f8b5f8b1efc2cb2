"""The parts of scripts/bench: a file for each family of benchmarks, and what they share.

command.py    the command line and the table of all benchmarks
table.py      rows, variants in turn, the printed table, the files      chart.py   bars and curves
clock.py      the clock, and commands timed by it                      runs.py    runs of sgdlab
step.py       one update of the notes' network: sgdlab beside its peers
peers.py, matmul.py, plain.py      the peers: Lightning, JAX, the notes' script, bare matrix products
workers.py    the processes in which the peers live
batched.py    many runs as one model and one by one                    scaling.py growth of the cost
records.py, runs14.py, startup.py, memory.py, sweeps.py    what their names say
many.py       commands in a folder of 10,000 runs
"""
