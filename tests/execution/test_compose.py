"""Jobs that differ in values are composed once; their settings are those that Hydra composes."""

from collections.abc import Iterator

import hydra
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from sgdlab.base.errors import UsageError
from sgdlab.config.options import conf_dir
from sgdlab.execution.hydra import overrides
from sgdlab.execution.hydra.compose import Composer
from sgdlab.execution.hydra.hydra_errors import HYDRA_ERRORS, reword
from sgdlab.execution.hydra.launcher import register
from sgdlab.execution.validate import validate

# Kinds of overrides, each line a job: Hydra says what they mean together.
JOBS = [
    "lr=0.5",
    "lr=1e-3 seed=3 batch_size=full",
    "lr=.5 lr=.25",
    "epochs=2 steps=null drop_last=true",
    "optimizer=adam",
    "optimizer=adam lr=0.25",
    "optimizer=adam optimizer.betas=[0.8,0.95]",
    "optimizer.default_lr=0.5",
    "optimizer=adam optimizer.default_lr=0.125",
    "lr=${optimizer.momentum} optimizer.momentum=0.75",
    "name='a b, c' runs_dir=\"/some where\"",
    "name=a\\,b",
    "name=${model.name}-${seed} seed=4",
    "model.hidden=[3,4] model.activation=tanh",
    "model.hidden=[] model.init.std=1",
    "model.hidden=[1] model.hidden=[2,3]",
    "optimizer=custom optimizer.target=torch.optim:NAdam +optimizer.eps=1e-3",
    "optimizer=custom optimizer.target=torch.optim:NAdam ++optimizer.eps=1e-3 ++optimizer.eps=1e-4",
    "figure={logy:true}",
    "+figure.logy=true",
    "+figure={title:x} +figure.logy=true",
    "figure={title:x,size:[3,4]} ++figure.title=null",
    "figure=null",
    "dataset=fashion_mnist_small dataset.limit=640 eval_train=null",
    "scheduler=cosine scheduler.warmup=1 lr=0.5",
    "problem=rosenbrock lr=0.25 optimizer=adam",
    "problem=rosenbrock model.start=[1,2] steps=7",
    "experiment=notes/sgd_momentum optimizer.momentum=0.5",
    "hydra.verbose=true lr=0.5",
    "optimizer=muon model=linear",
    "model.init=null",
    "problem=rosenbrock model.start=null steps=7 lr=1",
    "model=rosenbrock dataset=exact loss=value",
    "optimizer=zoo optimizer.name=soap",
    "dataset.name=a lr=1",
    "lr=1 lr=${seed} seed=4",
    "figure={title:x} figure=null",
    "optimizer.target=x:Y optimizer=custom +optimizer.betas=[1,2] lr=2",
]

# Texts that are numbers, or nearly.
NUMBERS = st.from_regex(
    r"-?[0-9]{1,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
) | st.sampled_from(
    [
        "123456789012345678",
        "1234567890123456789012",
        "1_0",
        "+1",
        ".5",
        "nan",
        "inf",
        "1e999",
        "true",
        "a",
        "1.e5",
    ]
)


@pytest.fixture(scope="module")
def loader() -> Iterator[tuple[ConfigLoader, DictConfig]]:
    """Hydra's loader of conf/, and the configuration of a sweep."""
    register()
    version = {"version_base": "1.3"} if hydra.__version__ < "1.4" else {}
    with hydra.initialize_config_dir(str(conf_dir()), **version):
        found = GlobalHydra.instance().config_loader()
        yield found, found.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN)


@pytest.fixture(scope="module")
def composer(loader: tuple[ConfigLoader, DictConfig]) -> Composer:
    return Composer(*loader)


@pytest.mark.parametrize("job", JOBS)
def test_both_ways_give_the_same_settings(composer, job):
    overrides = job.split(" ") if "'" not in job else ["name='a b, c'", 'runs_dir="/some where"']
    fast, slow = composer.compose(overrides), composer.compose_anew(overrides)
    assert repr(fast) == repr(slow)  # to the last type, in the same order


def test_a_job_does_not_show_in_the_next(composer):
    before = composer.compose(["seed=1"])
    composer.compose(["seed=1", "model.hidden=[9]", "lr=3", "+figure.logy=true"])
    assert composer.compose(["seed=1"]) == before


@pytest.mark.parametrize(
    "job",
    [
        "lrr=1",
        "optimizer.momentun=0.5",
        "optimizer=adam optimizer.momentum=0.5",
        "optimizer=sdg lr=1",
        "lr.x=1",
        "+lr=1",
        "model.init=3",
        "lr=${nowhere}",
        "seed=${oc.env:SGDLAB_NOT_THERE}",
        "optimizer=custom",
        "case=gd",
        "lr=abc",
        "batch_size=0",
    ],
)
def test_both_ways_give_the_same_refusal(composer, job):
    said = []
    for compose in (composer.compose, composer.compose_anew):
        with pytest.raises((UsageError, *HYDRA_ERRORS)) as caught:
            validate(compose(job.split()))
        err = caught.value
        said.append(str(err if isinstance(err, UsageError) else reword(err)))
    assert said[0] == said[1]


def test_files_are_read_once_for_jobs_that_differ_in_values(loader, monkeypatch):
    read = []
    whole = ConfigLoaderImpl.load_sweep_config

    def counted(self, master_config, sweep_overrides):
        read.append(sweep_overrides)
        return whole(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    composer = Composer(*loader)
    for seed in range(30):
        job = [
            f"seed={seed}",
            f"optimizer={('sgd', 'adam')[seed % 2]}",
            f"lr={seed / 10}",
            "model.hidden=[7]",
        ]
        composed = composer.compose(job)
        assert (composed["seed"], composed["lr"], composed["model"]["hidden"]) == (seed, seed / 10, [7])
    custom = ["optimizer=custom", "+optimizer.eps=1e-3"]
    for target in ("a:B", "c:D"):  # a setting without a default, and one that only this class has
        composed = composer.compose([*custom, f"optimizer.target={target}"])
        assert (composed["optimizer"]["target"], composed["optimizer"]["eps"]) == (target, 1e-3)
    assert read == [["optimizer=sgd"], ["optimizer=adam"], custom]


@settings(max_examples=60)
@given(st.lists(NUMBERS, min_size=1, max_size=3))
def test_plain_numbers_are_read_as_hydra_reads_them(texts):
    word = f"model.init.std={','.join(texts)}"
    found, expected = overrides.parse(word), OverridesParser.create().parse_override(word)
    assert repr(found) == repr(expected)
    if found.is_sweep_override():
        assert list(found.sweep_string_iterator()) == list(expected.sweep_string_iterator())


def test_long_sweeps_are_short_for_hydra_and_come_back():
    numbers = ",".join(f"{k}e-3" for k in range(1, 301))
    typed = [f"lr={numbers}", "seed=1,2", f"optimizer={','.join(['sgd'] * 30)}"]
    short = overrides.for_hydra(typed, multirun=True)
    assert short[1:] == typed[1:] and len(short[0]) < 50
    assert overrides.parse(short[0]).is_sweep_override()
    assert [overrides.as_typed(text) for text in short] == typed
    assert overrides.for_hydra([f"lr={numbers}1"], multirun=True)[0] != short[0]
    assert overrides.for_hydra(typed, multirun=False) == typed


@pytest.mark.parametrize("multirun", [True, False])
def test_settings_of_swept_groups_wait_until_the_group_is_chosen(multirun):
    typed = [
        "optimizer=adam,rmsprop",
        "optimizer.eps=1e-6",
        "lr=0.1",
        "model.hidden=[3]",
        "optimizer.betas=1,2",
    ]
    typed += ["+optimizer.x=1", "optimizer.eps=choice(1e-6)"]
    rewritten = overrides.for_hydra(typed, multirun=multirun)
    assert rewritten == [typed[0], "optimizer.eps=choice(1e-6)", *typed[2:]]
    assert [overrides.as_typed(text) for text in rewritten[:-1]] == typed[:-1]
    model = overrides.for_hydra(["problem=valley,beale", "model.start=[1,2]"], multirun=multirun)[1]
    assert model == "model.start=choice([1,2])"
