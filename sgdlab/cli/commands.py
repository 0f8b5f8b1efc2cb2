"""COMMANDS: the commands of `sgdlab`, each with its module and its meaning.

A command's module has `main(argv) -> exit code` and `parser()`, which completion asks for the options. To
add a command, write its module and add a line here.
"""

COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("sgdlab.cli.train", "train one run, or a sweep with -m or a named experiment"),
    "plot": ("sgdlab.cli.plot", "draw runs, sweeps and experiments"),
    "reproduce": ("sgdlab.cli.reproduce", "run, draw and check everything in the lecture notes"),
    "runs": ("sgdlab.cli.runs", "list sweeps and runs: status, settings that differ, results"),
    "clean": ("sgdlab.cli.clean", "free disk space: checkpoints of finished runs, leftovers"),
    "optimizers": ("sgdlab.cli.optimizers", "list optimizers: formula, settings, engines"),
    "data": ("sgdlab.cli.data", "list data sets and fetch them"),
    "completion": ("sgdlab.cli.completion", "print the line that enables tab completion"),
}
