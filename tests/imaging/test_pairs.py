"""Which mask belongs to which image, where results go, and every way in which that can go wrong."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgnet_cli.errors import NothingToDo, UsageError
from lgnet_cli.imaging.folders import LINK, ODD
from lgnet_cli.imaging.pairs import OVERWRITTEN, OWN_MASK, Plan, clashing, ignores_case, make_plan
from lgnet_cli.imaging.spool import Pair, Pairs

SEVERAL = "image with several masks"
WITHOUT = "image without a mask"
UNUSED = "mask without an image"
UNREADABLE = "not an image lgnet reads (by its suffix)"


def filled(folder: Path, *names: str) -> Path:
    """A folder with empty files: matching goes by names alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def relative(plan: Plan, base: Path) -> list[tuple[str, ...]]:
    """(image, mask, output) of every pair, below `base`."""
    return [tuple(p.relative_to(base).as_posix() for p in (pair.image, pair.mask, pair.output)) for pair in plan.pairs]


def test_masks_match_by_path_and_stem(tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "b.jpg", "sub/deep/a.tiff", "a.png", "x.y.webp")
    masks = filled(tmp_path / "masks", "a.bmp", "b.png", "sub/deep/a.jpeg", "x.y.png")
    plan = make_plan(str(images), masks, tmp_path / "out")
    assert relative(plan, tmp_path) == [
        ("in/a.png", "masks/a.bmp", "out/a.png"),
        ("in/b.jpg", "masks/b.png", "out/b.jpg"),
        ("in/x.y.webp", "masks/x.y.png", "out/x.y.webp"),
        ("in/sub/deep/a.tiff", "masks/sub/deep/a.jpeg", "out/sub/deep/a.tiff"),  # a folder after the files beside it
    ]
    assert (plan.skippable, plan.fatal) == ({}, {})


def test_suffixes_in_capitals_match(tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", "IMG_1.JPG"), filled(tmp_path / "masks", "IMG_1.Png")
    plan = make_plan(str(images), masks, tmp_path / "out")
    assert relative(plan, tmp_path) == [("in/IMG_1.JPG", "masks/IMG_1.Png", "out/IMG_1.JPG")]


def test_images_of_one_stem_share_its_mask(tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", "a.jpg", "a.png"), filled(tmp_path / "masks", "a.png")
    plan = make_plan(str(images), masks, tmp_path / "out")
    assert [image for image, _, _ in relative(plan, tmp_path)] == ["in/a.jpg", "in/a.png"]
    assert plan.skippable == {}


def test_one_mask_serves_every_image(tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png", "sub/b.png")
    mask = filled(tmp_path, "mask.png") / "mask.png"
    plan = make_plan(str(images), mask, tmp_path / "out")
    assert [pair.mask for pair in plan.pairs] == [mask, mask]
    assert [pair.output for pair in plan.pairs] == [tmp_path / "out/a.png", tmp_path / "out/sub/b.png"]


@pytest.mark.parametrize(("out", "output"), [("result.png", "result.png"), ("out", "out/a.jpg"), ("o.1", "o.1/a.jpg")])
def test_single_image_goes_to_a_file_or_a_folder(out: str, output: str, tmp_path: Path) -> None:
    folder = filled(tmp_path / "in", "a.jpg", "mask.png")
    plan = make_plan(str(folder / "a.jpg"), folder / "mask.png", tmp_path / out)
    assert relative(plan, tmp_path) == [("in/a.jpg", "in/mask.png", output)]
    assert plan.fatal == {}


def test_folder_that_is_named_like_an_image_stays_a_folder(tmp_path: Path) -> None:
    folder = filled(tmp_path / "in", "a.jpg", "mask.png")
    out = filled(tmp_path / "out.png")
    assert next(iter(make_plan(str(folder / "a.jpg"), folder / "mask.png", out).pairs)).output == out / "a.jpg"


def test_single_image_finds_its_mask_in_a_folder(tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", "sub/a.jpg"), filled(tmp_path / "masks", "a.png")
    plan = make_plan(str(images / "sub/a.jpg"), masks, tmp_path / "out")
    assert relative(plan, tmp_path) == [("in/sub/a.jpg", "masks/a.png", "out/a.jpg")]


@pytest.mark.parametrize("fmt", [None, "PNG"])
def test_single_file_of_any_name_is_taken(fmt: str | None, tmp_path: Path) -> None:
    """Whoever names a file means it, whatever its suffix; what is inside decides."""
    folder = filled(tmp_path / "in", "scan.001", "mask.png")
    plan = make_plan(str(folder / "scan.001"), folder / "mask.png", tmp_path / "out", fmt)
    assert [pair.output.name for pair in plan.pairs] == ["scan.png" if fmt else "scan.001"]


@pytest.mark.parametrize(("pattern", "outputs"), [
    ("*.png", ["a.png"]),
    ("**/*.png", ["a.png", "s/b.png", "s/t/c.png"]),
    ("s/*", ["b.png"]),
    ("[st]/*.png", ["s/b.png"]),
    ("s/**", ["b.png", "t/c.png"]),
])  # fmt: skip
def test_results_mirror_what_a_glob_varies(pattern: str, outputs: list[str], tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png", "s/b.png", "s/t/c.png", "d.jpg")
    mask = filled(tmp_path, "mask.png") / "mask.png"
    plan = make_plan(str(images / pattern), mask, tmp_path / "out")
    assert [pair.output.relative_to(tmp_path / "out").as_posix() for pair in plan.pairs] == outputs


def test_relative_glob_mirrors_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, "a.png", "s/b.png", "mask.bmp")
    monkeypatch.chdir(tmp_path)
    plan = make_plan("**/*.png", Path("mask.bmp"), Path("out"))
    assert [pair.output for pair in plan.pairs] == [Path("out/a.png"), Path("out/s/b.png")]


def test_folder_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    images = filled(tmp_path / "in[1]", "a.png")
    mask = filled(tmp_path, "mask.png") / "mask.png"
    assert len(make_plan(str(images), mask, tmp_path / "out").pairs) == 1


def test_hidden_files_are_nobodys_photos(tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png", ".a.png", ".git/b.png", ".DS_Store", "Thumbs.db")
    masks = filled(tmp_path / "masks", "a.png", "._a.jpg", ".cache/a.png")
    plan = make_plan(str(images), masks, tmp_path / "out")
    assert relative(plan, tmp_path) == [("in/a.png", "masks/a.png", "out/a.png")]
    assert plan.skippable == {}


def test_what_cannot_be_matched_is_named(tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png", "b.png", "c.png", "notes.txt", "sub/a.png")
    masks = filled(tmp_path / "masks", "a.png", "c.jpg", "c.png", "d.png", "readme.md")
    plan = make_plan(str(images), masks, tmp_path / "out")
    assert relative(plan, tmp_path) == [("in/a.png", "masks/a.png", "out/a.png")]
    assert plan.skippable == {
        UNREADABLE: [str(images / "notes.txt")],
        SEVERAL: [f"{images / 'c.png'}: {masks / 'c.jpg'}, {masks / 'c.png'}"],
        WITHOUT: [str(images / "b.png"), str(images / "sub/a.png")],
        UNUSED: [str(masks / "d.png")],
    }


@pytest.mark.parametrize(("fmt", "outputs"), [
    (None, ["a.jpeg", "b.tiff", "c.PNG"]), ("PNG", ["a.png", "b.png", "c.PNG"]), ("JPEG", ["a.jpeg", "b.jpg", "c.jpg"]),
    ("TIFF", ["a.tif", "b.tiff", "c.tif"]),
])  # fmt: skip
def test_format_renames_only_what_promises_another(fmt: str | None, outputs: list[str], tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.jpeg", "b.tiff", "c.PNG")
    mask = filled(tmp_path, "mask.png") / "mask.png"
    plan = make_plan(str(images), mask, tmp_path / "out", fmt)
    assert [pair.output.name for pair in plan.pairs] == outputs


def test_images_that_would_get_one_name_clash(tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.jpg", "a.png", "b.jpg")
    mask = filled(tmp_path, "mask.png") / "mask.png"
    out = tmp_path / "out"
    assert make_plan(str(images), mask, out).fatal == {}
    clash = [f"{images / name} -> {out / 'a.png'}" for name in ("a.jpg", "a.png")]
    assert make_plan(str(images), mask, out, "PNG").fatal == {"several images with one output": clash}


@pytest.mark.parametrize(("out", "name"), [
    ("in", "IMAGES"), ("in/results", "IMAGES"), ("in/../in/x", "IMAGES"), ("masks", "MASKS"), ("masks/sub", "MASKS"),
])  # fmt: skip
def test_out_among_the_inputs_is_fatal(out: str, name: str, tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", "a.png"), filled(tmp_path / "masks", "a.png")
    fatal = make_plan(str(images), masks, tmp_path / out).fatal
    assert [headline for headline in fatal if headline.startswith(f"OUT is {name} ")]


def test_link_to_the_images_is_seen_through(tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", "a.png"), filled(tmp_path / "masks", "a.png")
    (tmp_path / "out").symlink_to(images)
    assert make_plan(str(images), masks, tmp_path / "out").fatal


@pytest.mark.parametrize("pattern", ["a.png", "*.png"])
def test_images_that_lie_in_out_are_fatal(pattern: str, tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", "a.png"), filled(tmp_path / "masks", "a.png")
    assert make_plan(str(images / pattern), masks, images).fatal["image that lies in OUT"] == [str(images / "a.png")]


@pytest.mark.parametrize("out", ["in/a.png", "in/mask.png", "in/../in/a.png"])
def test_output_over_an_input_is_fatal(out: str, tmp_path: Path) -> None:
    folder = filled(tmp_path / "in", "a.png", "mask.png")
    fatal = make_plan(str(folder / "a.png"), folder / "mask.png", tmp_path / out).fatal
    assert fatal == {"output that would overwrite an input": [str(tmp_path / out)]}


@pytest.mark.parametrize("names", [[], ["notes.txt"], [".hidden.png"]])
def test_no_image_is_nothing_to_do(names: list[str], tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", *names), filled(tmp_path / "masks", "a.png")
    with pytest.raises(NothingToDo, match="in: no image there") as raised:
        make_plan(str(images), masks, tmp_path / "out")
    assert ".webp" in raised.value.mend


def test_glob_without_matches_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="no image there"):
        make_plan(str(tmp_path / "*.png"), tmp_path, tmp_path / "out")


def test_inputs_that_do_not_exist_are_named(tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png")
    with pytest.raises(UsageError, match=r"nowhere: no such file or folder"):
        make_plan(str(tmp_path / "nowhere"), images, tmp_path / "out")
    with pytest.raises(UsageError, match=r"nowhere: no such mask file or folder"):
        make_plan(str(images), tmp_path / "nowhere", tmp_path / "out")


def test_what_is_no_file_is_named_not_passed_over(tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", "a.png", "album/c.png"), filled(tmp_path / "masks", "a.png", "album/c.png")
    (images / "broken.png").symlink_to(tmp_path / "gone.png")
    (images / "loop.png").symlink_to(images / "loop.png")
    (images / "round").symlink_to(images)
    os.mkfifo(images / "pipe.jpg")
    os.mkfifo(masks / "pipe.txt")  # nobody's mask
    plan = make_plan(str(images), masks, tmp_path / "out")
    assert [pair.image.name for pair in plan.pairs] == ["a.png", "c.png"]
    assert plan.skippable == {
        ODD: [str(images / name) for name in ("broken.png", "loop.png", "pipe.jpg")],
        LINK: [str(images / "round")],
    }


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in"), filled(tmp_path / "masks", "a.png")
    (images / "a.png").symlink_to(filled(tmp_path / "elsewhere", "x.png") / "x.png")
    plan = make_plan(str(images), masks, tmp_path / "out")
    assert relative(plan, tmp_path) == [("in/a.png", "masks/a.png", "out/a.png")]


def test_an_input_that_is_a_link_into_out_is_fatal(tmp_path: Path) -> None:
    images, masks = filled(tmp_path / "in", "a.png"), filled(tmp_path / "masks", "a.png", "b.png")
    (images / "b.png").symlink_to(filled(tmp_path / "out", "a.png") / "a.png")
    plan = make_plan(str(images), masks, tmp_path / "out")
    assert plan.fatal == {"input that is a link into OUT": [str(images / "b.png")]}


def test_a_glob_does_not_run_in_circles(tmp_path: Path) -> None:
    """Two links back to the top are 2**40 paths to whoever follows links."""
    images = filled(tmp_path / "in", "a.png", "s/b.png")
    mask = filled(tmp_path, "mask.png") / "mask.png"
    for name in ("one", "two"):
        (images / "s" / name).symlink_to(images)
    plan = make_plan(str(images / "**" / "*.png"), mask, tmp_path / "out")
    assert [pair.output.relative_to(tmp_path / "out").as_posix() for pair in plan.pairs] == ["a.png", "s/b.png"]


def test_images_that_lie_over_their_results_are_not_overwritten(tmp_path: Path) -> None:
    """IMAGES inside OUT: a result of one image may have the path of another."""
    images = filled(tmp_path / "out/in", "a.png", "in/a.png")
    mask = filled(tmp_path, "mask.png") / "mask.png"
    assert make_plan(str(images), mask, tmp_path / "out").fatal == {OVERWRITTEN: [str(tmp_path / "out/in/a.png")]}
    (images / "in/a.png").rename(images / "b.png")
    assert make_plan(str(images), mask, tmp_path / "out").fatal == {}


@pytest.mark.parametrize(("ignore_case", "names"), [(False, ["c.png"]), (True, ["A.png", "a.png", "c.png"])])
def test_names_that_clash(ignore_case: bool, names: list[str]) -> None:
    assert clashing(["a.png", "A.png", "b.png", "c.png", "c.png"], ignore_case) == names


def test_whether_case_matters_is_asked_of_the_file_system(tmp_path: Path) -> None:
    (tmp_path / "lower").mkdir()
    real = (tmp_path / "LOWER").exists()
    assert ignores_case(tmp_path / "lower" / "not" / "there") == real


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shards_are_disjoint_and_complete(count: int, tmp_path: Path) -> None:
    images = filled(tmp_path / "in", *(f"{i}.png" for i in range(40)), *(f"s/{i}.jpg" for i in range(40)))
    mask = filled(tmp_path, "mask.png") / "mask.png"
    whole = list(make_plan(str(images), mask, tmp_path / "out").pairs)
    shares = [list(make_plan(str(images), mask, tmp_path / "out", None, (i, count)).pairs) for i in range(1, count + 1)]
    assert sorted((p for share in shares for p in share), key=str) == sorted(whole, key=str)
    assert all(shares)
    filled(images, "new.png")  # between the starts of two machines: it changes nobody's share
    later = list(make_plan(str(images), mask, tmp_path / "out", None, (1, count)).pairs)
    assert [p for p in later if p.image.name != "new.png"] == shares[0]


def test_a_plan_of_many_reads_the_same_twice_and_in_turns(tmp_path: Path) -> None:
    """Beyond what is kept in memory; blocks of the file cut names in two."""
    pairs = Pairs(tmp_path, tmp_path / "m", tmp_path / "o")
    names = [f"{'sub/' * (i % 9)}new\nline {i}" + os.fsdecode(b"\xff") for i in range(9000)]
    pairs.add([])  # a folder without images
    pairs.add([name for name in names[:5] for _ in range(3)])
    pairs.add([name for name in names[5:] for _ in range(3)])
    assert len(pairs) == 9000
    for name, one, other in zip(names, pairs, pairs, strict=True):
        assert one == other == Pair(tmp_path / name, tmp_path / "m" / name, tmp_path / "o" / name)


files = st.builds("{}{}{}".format, st.sampled_from(["", "s/", "s/t/"]), st.sampled_from("abc"),
                  st.sampled_from([".png", ".PNG", ".jpg", ".tif", ".txt"]))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sets(files, min_size=1, max_size=12), st.sets(files, max_size=12), st.sampled_from([None, "PNG"]))
def test_nothing_is_forgotten(images: set[str], masks: set[str], fmt: str | None) -> None:
    """Every image is in exactly one pair or named as a problem, and every mask is used or named."""
    with TemporaryDirectory() as name:
        base = Path(name)
        found, drawn = filled(base / "in", *images), filled(base / "masks", *masks)
        if all(image.endswith(".txt") for image in images):
            with pytest.raises(NothingToDo):
                make_plan(str(found), drawn, base / "out", fmt)
            return
        plan = make_plan(str(found), drawn, base / "out", fmt)
    listed = [line.split(": ")[0] for kind in (UNREADABLE, SEVERAL, WITHOUT) for line in plan.skippable.get(kind, [])]
    assert sorted([str(pair.image) for pair in plan.pairs] + listed) == sorted(str(found / image) for image in images)
    named = {str(pair.mask) for pair in plan.pairs} | {*plan.skippable.get(UNUSED, [])}
    named |= {mask for line in plan.skippable.get(SEVERAL, []) for mask in line.split(": ")[1].split(", ")}
    assert named == {str(drawn / mask) for mask in masks if not mask.endswith(".txt")}


@pytest.mark.parametrize("masks", ["in", "link", "in/../in", "links", "back"])
def test_a_photo_is_not_its_own_mask(masks: str, tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png", "s/b.png")
    (tmp_path / "link").symlink_to(images)
    filled(tmp_path / "links/s")
    (tmp_path / "links/a.png").symlink_to(images / "a.png")
    (tmp_path / "links/s/b.png").symlink_to(images / "s/b.png")
    there = tmp_path / masks
    if masks == "back":  # the photos are links to the masks
        images, there = tmp_path / "links", images
    photos = [str(images / "a.png"), str(images / "s/b.png")]
    assert make_plan(str(images), there, tmp_path / "out").fatal == {OWN_MASK: photos}
    assert make_plan(str(images), there, tmp_path / "out", own_masks=True).fatal == {}


@pytest.mark.parametrize("mask", ["a.png", "link.png"])
def test_a_single_photo_is_not_its_own_mask(mask: str, tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png")
    (images / "link.png").symlink_to(images / "a.png")
    plan = make_plan(str(images / "a.png"), images / mask, tmp_path / "b.png")
    assert plan.fatal == {OWN_MASK: [str(images / "a.png")]}


@pytest.mark.parametrize("pattern", ["", "*.png", "**/*.png"])
def test_a_shared_mask_among_the_photos_is_no_photo(pattern: str, tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png", "mask.png", "s/mask.png")
    plan = make_plan(str(images / pattern), images / "mask.png", tmp_path / "out")
    deeper = [] if pattern == "*.png" else ["in/s/mask.png"]  # of that name, but another file
    assert [image for image, *_ in relative(plan, tmp_path)] == ["in/a.png", *deeper]
    assert (plan.fatal, plan.skippable) == ({}, {})


def test_a_folder_of_masks_among_the_photos_holds_no_photos(tmp_path: Path) -> None:
    images = filled(tmp_path / "in", "a.png", "s/b.png", "masks/a.png", "masks/s/b.png", "s/masks/c.png")
    plan = make_plan(str(images), images / "masks", tmp_path / "out")
    assert [image for image, *_ in relative(plan, tmp_path)] == ["in/a.png", "in/s/b.png"]
    assert plan.skippable == {WITHOUT: [str(images / "s/masks/c.png")]}
