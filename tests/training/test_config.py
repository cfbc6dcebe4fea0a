"""Settings: presets, files, options."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lgnet_cli.errors import UsageError
from lgnet_cli.training.config import PRESETS, Config, from_options, parsed, read_toml, to_toml


@pytest.mark.parametrize("preset", ["celebahq", "places2", "paris"])
def test_the_authors_sets_have_the_authors_recipe(preset: str) -> None:
    config = PRESETS[preset]
    weights = (config.valid, config.hole, config.perceptual_weight, config.style, config.tv, config.adversarial)
    assert weights == (1, 6, 0.05, 120, 0.1, 0.1)
    assert (config.learning_rate, config.beta1, config.beta2, config.batch) == (2e-4, 0.5, 0.999, 4)
    assert (config.epochs, config.decay_from, config.decay, config.warmup) == (200, 0.5, "linear", 0)
    assert (config.framing, config.judged, config.perceptual, config.size, config.width) == (
        "squash", "coarse", "vgg16", 256, 64,
    )  # fmt: skip
    departures = (config.ema, config.clip_gradient, config.texture_from, config.texture_size, config.accumulate)
    assert departures == (0, 0, 0, 0, 1)
    assert not config.imagenet_normalisation
    assert not config.compile
    assert not config.sync_batchnorm


@pytest.mark.parametrize("preset", PRESETS)
def test_a_written_config_reads_back_as_it_was(preset: str, tmp_path: Path) -> None:
    config = dataclasses.replace(PRESETS[preset], images='a "quoted" \\ täg\n', learning_rate=1e-12)
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    assert Config(**read_toml(tmp_path / "config.toml")) == config


def test_options_win_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('width = 8\nbatch = 2\nema = 1\nframing = "squash"\n')
    config = from_options("small", tmp_path / "c.toml", {"batch": 3})
    assert (config.width, config.batch, config.ema, config.framing) == (8, 3, 1.0, "squash")
    assert config.clip_gradient == PRESETS["small"].clip_gradient


def test_pairs_are_toml_and_words_need_no_quotes() -> None:
    assert parsed(["a=1", "b = 0.5", "c=true", "d=squash", 'e="x"']) == {
        "a": 1, "b": 0.5, "c": True, "d": "squash", "e": "x",
    }  # fmt: skip


@pytest.mark.parametrize(("options", "said"), [
    ({"widht": 8}, "no setting 'widht'"), ({"width": 0}, "width"), ({"width": "8"}, "expected int"),
    ({"width": True}, "expected int"), ({"framing": "tile"}, "squash, crop"), ({"ema": 1.5}, "from 0 to 1"),
    ({"size": 300}, "multiple of 256"), ({"perceptual": "vgg19"}, "st-vgg16"), ({"batch": 0}, "at least 1"),
])  # fmt: skip
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_options("small", None, options)


def test_no_perceptual_network_means_no_such_losses() -> None:
    config = from_options("celebahq", None, {"perceptual": "none"})
    assert (config.perceptual_weight, config.style, config.tv) == (0, 0, 0.1)


def test_broken_toml_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("width = \n")
    with pytest.raises(UsageError, match=r"c\.toml"):
        read_toml(tmp_path / "c.toml")
