"""A real browser, with the network cut off and its requests and messages on record."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@contextmanager
def chromium() -> Iterator[Any]:
    """Selenium's driver of a headless chromium that resolves no host. Skips where there is none."""
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1200,1000", "--host-resolver-rules=MAP * ~NOTFOUND"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def visit(driver: Any, page: Path, scheme: str = "light") -> None:
    """Open a file, preferring light or dark; what was logged before is forgotten."""
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for kind in ("performance", "browser"):
        driver.get_log(kind)
    driver.get(page.resolve().as_uri())


def requests(driver: Any) -> list[str]:
    """What the page asked for since `visit`, itself and what it holds as `data:` left out."""
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [entry["params"]["request"]["url"] for entry in sent if entry["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("data:") and url.partition("#")[0] != driver.current_url]


def complaints(driver: Any) -> list[str]:
    """What the browser's console says."""
    return [entry["message"] for entry in driver.get_log("browser")]
