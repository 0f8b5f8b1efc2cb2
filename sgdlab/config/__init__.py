"""The configuration of a run: its schema, its reading and checking, its hash, and what conf/ offers.

    schema    Config, put together from the settings of problem, optim and engine
    reader    plain mappings -> Config, or the first setting that is not legal
    run_hash  what names a run's folder, and which settings are left out of it
    options   groups, options and comments of conf/, read without Hydra

Nothing here imports torch, Hydra or OmegaConf.
"""
