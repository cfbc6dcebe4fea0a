"""The page in a real browser: the slider slides, the filter filters, and nothing is asked of the network."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from browser import complaints, requests, visit
from lgnet_cli.gallery.page import Case, Gallery, page
from lgnet_cli.gallery.pictures import MAX_SIDE, Album

ODD = '"><img src=http://evil.example/a.png onerror=alert(1)></script><script>alert(2)</script>.jpg'


def gallery() -> Gallery:
    """Six cases: three shares by two methods; the original is black, results are white, one name is hostile."""
    made = Gallery("original", {"psnr": "worst PSNR first", "share": "largest holes first"})
    made.album.add_photo("black", np.zeros((128, 192, 3), np.uint8))
    made.album.add_photo("white", np.full((128, 192, 3), 255, np.uint8))
    hole = np.zeros((128, 192), bool)
    hole[32:96, 48:144] = True
    made.album.add_holes("hole", hole)
    for number, (share, psnr) in enumerate([(0.05, 20.0), (0.15, 30.0), (0.25, 10.0)]):
        for method in ("lgnet", "te<le>a"):
            name = ODD if number == 1 else f"{number}.png"
            bucket = ("1-10", "10-20", "20-30")[number]
            ranks = {"psnr": -psnr - (method == "lgnet"), "share": share, "not finite": float("nan")}
            made.cases.append(Case(name, bucket, method, (192, 128), "black", "white", "hole", "facts", ranks))
    return made


@pytest.fixture
def opened(driver: Any, tmp_path: Path) -> Any:
    (tmp_path / "page.html").write_text(page("A title", "lead", {"Part": "<p>text</p>"}, gallery()))
    visit(driver, tmp_path / "page.html")
    return driver


def shown(driver: Any) -> list[Any]:
    return [case for case in driver.find_elements(By.CSS_SELECTOR, ".case") if case.is_displayed()]


def revealed(driver: Any) -> float:
    """The share of the first picture in which the original (black) lies over the result (white)."""
    frame = shown(driver)[0].find_element(By.CSS_SELECTOR, ".frame")
    pixels = cv2.imdecode(np.frombuffer(frame.screenshot_as_png, np.uint8), cv2.IMREAD_GRAYSCALE)
    return float((pixels[-40:-10] < 60).mean())  # a strip without labels and handle


def test_the_mouse_moves_the_slider(opened: Any) -> None:
    slider = shown(opened)[0].find_element(By.CSS_SELECTOR, "input")
    assert revealed(opened) == pytest.approx(0.5, abs=0.02)
    quarter = slider.size["width"] // 4
    ActionChains(opened).move_to_element(slider).click_and_hold().move_by_offset(quarter, 0).release().perform()
    assert float(slider.get_property("value")) == pytest.approx(75, abs=2)
    assert revealed(opened) == pytest.approx(0.75, abs=0.03)


def test_keys_reach_and_move_everything(opened: Any) -> None:
    reached = []
    for _ in range(12):
        ActionChains(opened).send_keys(Keys.TAB).perform()
        active = opened.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("type") or active.tag_name)
    assert [name for name in reached if name != "a"][:5] == ["bucket", "method", "order", "holes", "range"]
    slider = shown(opened)[0].find_element(By.CSS_SELECTOR, "input")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert slider.get_property("value") == "52"
    slider.send_keys(Keys.HOME)
    assert revealed(opened) == pytest.approx(0, abs=0.02)
    slider.send_keys(Keys.END)
    assert revealed(opened) == pytest.approx(1, abs=0.02)
    assert "original" in slider.get_attribute("aria-label")


def test_filters_leave_what_they_name(opened: Any) -> None:
    assert len(shown(opened)) == 6
    Select(opened.find_element(By.ID, "bucket")).select_by_visible_text("10-20 %")
    assert {case.get_attribute("data-bucket") for case in shown(opened)} == {"10-20"}
    assert len(shown(opened)) == 2
    Select(opened.find_element(By.ID, "method")).select_by_visible_text("te<le>a")
    assert [case.get_attribute("data-method") for case in shown(opened)] == ["te<le>a"]
    assert opened.find_element(By.ID, "count").text == "1 of 6 shown"
    Select(opened.find_element(By.ID, "bucket")).select_by_index(0)
    assert len(shown(opened)) == 3


def test_the_worst_come_first_and_the_order_can_change(opened: Any) -> None:
    def names() -> list[str]:
        return [case.find_element(By.TAG_NAME, "strong").text for case in shown(opened)]

    assert names() == ["2.png", "2.png", "0.png", "0.png", ODD, ODD]
    assert shown(opened)[0].get_attribute("data-method") == "te<le>a"
    Select(opened.find_element(By.ID, "order")).select_by_visible_text("largest holes first")
    assert names() == ["2.png", "2.png", ODD, ODD, "0.png", "0.png"]


def test_holes_can_be_marked(opened: Any) -> None:
    marked = shown(opened)[0].find_element(By.CSS_SELECTOR, ".marked")
    assert not marked.is_displayed()
    opened.find_element(By.ID, "holes").send_keys(Keys.SPACE)
    assert marked.is_displayed()
    assert marked.get_property("naturalWidth") == 192


def test_hostile_names_stay_names_and_nothing_leaves_the_page(opened: Any) -> None:
    Select(opened.find_element(By.ID, "bucket")).select_by_index(2)
    assert opened.execute_script("return document.scripts.length") == 2
    assert opened.execute_script("return document.querySelectorAll('img').length") == 3 * 6
    assert opened.execute_script("return [...document.images].every((image) => image.naturalWidth)")
    assert requests(opened) == []
    assert complaints(opened) == []


def test_requests_and_complaints_would_be_seen(driver: Any, tmp_path: Path) -> None:
    """The watch itself: a page that does what ours must not is caught, and our policy stops it."""
    bad = '<img src="http://evil.example/a.png"><script>console.error("x")</script>'
    (tmp_path / "bad.html").write_text(bad)
    visit(driver, tmp_path / "bad.html")
    assert requests(driver) == ["http://evil.example/a.png"]
    assert len(complaints(driver)) == 2  # not found, and x
    (tmp_path / "ours.html").write_text(page("t", "l", {"Part": bad}, None))
    visit(driver, tmp_path / "ours.html")
    refused = complaints(driver)  # by the policy: the picture, and the script that is not ours
    assert [("img-src" in words or "script-src" in words) for words in refused] == [True, True]


def test_light_and_dark(driver: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page("A title", "lead", {}, gallery()))
    grounds = []
    for scheme in ("light", "dark"):
        visit(driver, tmp_path / "page.html", scheme)
        ground, ink = (
            np.mean(
                [int(v) for v in driver.find_element(By.TAG_NAME, "body").value_of_css_property(name)[5:-4].split(",")]
            )
            for name in ("background-color", "color")
        )
        assert abs(ground - ink) > 150  # of 255: text that can be read
        grounds.append(ground)
    assert grounds[0] > 200
    assert grounds[1] < 60


def test_pictures_are_bounded_and_hairs_stay() -> None:
    album = Album()
    album.add_photo("wide", np.zeros((500, 4000, 3), np.uint8))
    hole = np.zeros((500, 4000), bool)
    hole[250] = True
    album.add_holes("hair", hole)
    decoded = {key: cv2.imdecode(np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8), cv2.IMREAD_UNCHANGED)
               for key, uri in album.pictures.items()}  # fmt: skip
    assert decoded["wide"].shape == (MAX_SIDE // 8, MAX_SIDE, 3)
    assert (decoded["hair"][:, :, 3] > 0).any(axis=0).all()
