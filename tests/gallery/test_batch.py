"""`lgnet inpaint --report`: the page of a batch, from the real command."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from selenium.webdriver.common.by import By

from browser import complaints, requests, visit
from lgnet_cli.gallery.batch import MAX_PICTURES, write_batch_page
from lgnet_cli.imaging.masks import MaskOptions
from lgnet_cli.report import NAME, Record, Report

Folders = Callable[..., tuple[Path, Path]]
Command = Callable[..., "subprocess.CompletedProcess[str]"]
HOSTILE = "<b>'\"&\nü"


def test_the_page_shows_the_batch(folders: Folders, tmp_path: Path, lgnet: Command, driver: Any) -> None:
    images, masks = folders(3)
    for folder in (images, masks):
        (folder / "000.png").rename(folder / f"{HOSTILE}.png")
    (images / "001.png").write_bytes(b"broken")
    out = tmp_path / "out"
    done = lgnet("inpaint", images, masks, "-o", out, "--report")
    assert done.returncode == 3
    assert "lgnet-report.html" in done.stderr
    visit(driver, out / "lgnet-report.html")
    names = [name.text for name in driver.find_elements(By.CSS_SELECTOR, ".case strong")]
    assert names == [f"{images}/002.png", f"{images}/{HOSTILE}.png".replace("\n", "\\n")]  # largest hole first
    failures = driver.find_element(By.ID, "failures").text
    assert "001.png" in failures
    assert "not a readable image" in failures
    assert "2 filled, 0 copied (nothing to fill), 1 failed" in driver.find_element(By.TAG_NAME, "header").text
    assert driver.execute_script("return [...document.images].every((image) => image.naturalWidth === 300)")
    assert (requests(driver), complaints(driver)) == ([], [])


def test_a_single_result_has_no_page(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    done = lgnet("inpaint", images / "000.png", masks / "000.png", "-o", tmp_path / "o.png", "--report")
    assert (done.returncode, "--report shows a folder" in done.stderr) == (2, True)
    assert not (tmp_path / "o.png").exists()


def test_the_page_keeps_to_the_batchs_limit(folders: Folders, tmp_path: Path, lgnet: Command) -> None:
    images, masks = folders(1)
    command = ["inpaint", images, masks, "-o", tmp_path / "out", "--report", "--max-pixels"]
    assert lgnet(*command, 300 * 260).returncode == 0
    page = tmp_path / "out" / "lgnet-report.html"
    assert "the limit is" not in page.read_text()
    assert lgnet(*command, 300 * 260 - 1).returncode == 0  # done before; the page alone is new
    assert "claims 300 x 260 pixels; the limit is 77,999" in page.read_text()


def test_pictures_are_counted_and_lost_files_named(tmp_path: Path, photo: Callable[..., np.ndarray]) -> None:
    cv2.imwrite(str(tmp_path / "i.png"), photo(64, 64))
    cv2.imwrite(str(tmp_path / "m.png"), np.full((64, 64), 255, np.uint8))
    report = Report(tmp_path)
    for number in range(MAX_PICTURES + 5):
        output = os.fsdecode(b"gone\xff.png") if number == 0 else f"{number}.png"
        target = str(tmp_path / output)
        if number:
            os.link(tmp_path / "i.png", target)
        report.add(
            Record(str(tmp_path / "i.png"), str(tmp_path / "m.png"), target, "filled", hole_share=1 - number / 99)
        )
    report.add(Record("i", "m", str(tmp_path / "3.png"), "failed", error="<i>later</i>"))  # the last word on that image
    report.close()
    with (tmp_path / NAME).open("a") as file:
        file.write('{"output": "x", "status": "filled", "key": "", "bytes": "many"}\n[]\n{"output"')
    text = write_batch_page(tmp_path, MaskOptions()).read_text()
    assert text.count('<figure class="case"') == MAX_PICTURES
    assert "3 more are not on this page." in text  # 65, less the one that is gone and the one that failed later
    assert "gone\\udcff.png" in text
    assert "&lt;i&gt;later&lt;/i&gt;" in text
