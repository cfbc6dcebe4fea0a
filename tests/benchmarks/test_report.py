"""Reports: the result's numbers in five formats, none of its text taken for markup, the pictures in a real browser."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from browser import chromium, complaints, requests, visit
from lgnet_cli.benchmarks.report import write_latency, write_quality
from lgnet_cli.escape import to_html, to_latex, to_markdown
from results import NAMES, latency_result, quality_result

ODD = 'a|b_$x^2 & 100% #1 \\input{x} ~"<img src=x onerror=alert(1)>`.png'


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("report")
    result = quality_result(folder, ODD, photos=3)
    result["methods"][1]["source"] = ODD
    write_quality(result, folder)
    return folder, result


@pytest.fixture(scope="module")
def driver(written: tuple[Path, dict[str, Any]]) -> Iterator[Any]:
    with chromium() as opened:
        visit(opened, written[0] / "quality.html")
        yield opened


def test_markdown_has_a_block_a_metric_and_the_best_in_bold(written: tuple[Path, dict[str, Any]]) -> None:
    folder, result = written
    text = (folder / "quality.md").read_text()
    psnr = text.partition("## PSNR, dB (higher is better)\n")[2].partition("##")[0]
    rows = {line.split(" | ")[0].strip("| "): line for line in psnr.splitlines() if line.startswith("|")}
    assert list(rows)[2:] == ["lgnet (onnxruntime)", "telea", "ns", "LGNet (published)", "PEN (published)"]
    means = {m: result["means"][m]["psnr_db"]["1-10"]["mean"] for m in ("lgnet (onnxruntime)", "telea", "ns")}
    best = max(means, key=means.__getitem__)
    for method, mean in means.items():
        assert (f"**{mean:.2f}**" in rows[method].split("|")[2]) == (f"{mean:.2f}" == f"{means[best]:.2f}")
    assert "**40.04**" in rows["LGNet (published)"]
    assert "Definition: 20 log10(255 / RMSE), per image" in psnr
    fid = text.partition("## FID (lower is better)\n")[2]
    assert "| telea | n/a | n/a" in fid
    assert "n/a: needs weights-inception" in fid


def test_the_csv_has_every_mean(written: tuple[Path, dict[str, Any]]) -> None:
    folder, result = written
    with (folder / "quality.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 4 * len(NAMES)
    one = next(r for r in rows if (r["method"], r["metric"], r["bucket"]) == ("ns", "ssim", "20-30"))
    assert float(one["mean"]) == result["means"]["ns"]["ssim"]["20-30"]["mean"]
    assert one["count"] == "3"


def test_every_format_escapes(written: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = written
    text = {end: (folder / f"quality.{end}").read_text() for end in ("md", "tex", "html")}
    assert to_html(ODD) in text["html"]
    assert to_markdown(ODD) in text["md"]
    assert "<img src=x" not in text["md"].replace("\\<", "").replace("\\>", "")
    assert "<img src=x" not in text["html"]
    assert to_latex(ODD) in text["tex"]
    assert to_latex("{\\x}%_\n") == r"\{\textbackslash{}x\}\%\_\textbackslash{}n"
    assert to_markdown("a|b\nc") == "a\\|b\\\\nc"
    assert text["tex"].count(r"\begin{tabular}") == text["tex"].count(r"\end{tabular}") == 4


def test_the_page_in_a_browser(driver: Any) -> None:
    assert len(driver.find_elements(By.CSS_SELECTOR, ".plots img")) == 4
    assert driver.execute_script("return [...document.images].every((image) => image.naturalWidth)")
    assert len(driver.find_elements(By.CSS_SELECTOR, ".case")) == 3 * 3 * 6
    Select(driver.find_element(By.ID, "method")).select_by_visible_text("telea")
    Select(driver.find_element(By.ID, "bucket")).select_by_visible_text("50-60 %")
    shown = [case for case in driver.find_elements(By.CSS_SELECTOR, ".case") if case.is_displayed()]
    assert len(shown) == 3
    measured = [float(case.text.partition("PSNR ")[2].partition(",")[0]) for case in shown]
    assert measured == sorted(measured)  # the worst first
    assert ODD in [case.find_element(By.TAG_NAME, "strong").text for case in shown]
    assert (requests(driver), complaints(driver)) == ([], [])


def test_a_picture_outside_the_folder_is_refused(tmp_path: Path) -> None:
    result = quality_result(tmp_path / "report", photos=1)
    outside = tmp_path / "secret.png"
    (tmp_path / "report" / result["pictures"][0]["original"]).rename(outside)
    result["pictures"][0]["original"] = "../secret.png"
    write_quality(result, tmp_path / "report")
    page = (tmp_path / "report" / "quality.html").read_text()
    assert "../secret.png: leads out of" in page
    assert page.count('<figure class="case"') == 3 * 5


def test_a_fast_wrong_engine_is_not_the_best(tmp_path: Path) -> None:
    write_latency(latency_result(), tmp_path)
    text = (tmp_path / "latency.md").read_text()
    assert "| **100.0** |" in next(line for line in text.splitlines() if line.startswith("| onnxruntime"))
    wrong = next(line for line in text.splitlines() if line.startswith("| openvino"))
    assert "WRONG PICTURE" in wrong
    assert "**" not in wrong
    assert "cannot run here: sees no \\<CUDA\\> device; check it" in text
    assert "| main memory, MiB |" in text  # and so not of a GPU
    assert "8.00 GFLOP" in text
    assert "x\\_y \\& z" in text
    assert r"\resizebox" in (tmp_path / "latency.tex").read_text()
    assert "sees no &lt;CUDA&gt; device" in (tmp_path / "latency.html").read_text()
    with (tmp_path / "latency.csv").open(newline="") as file:
        assert [row["backend"] for row in csv.DictReader(file)] == ["onnxruntime", "torch", "openvino", "torch-cuda"]


def test_rows_of_images_may_lie_in_the_csv_alone(tmp_path: Path) -> None:
    result = quality_result(tmp_path, photos=1)
    rows = result.pop("images")
    with (tmp_path / "images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_quality(result, tmp_path)
    text = (tmp_path / "quality.html").read_text()
    assert "worst PSNR first" in text
    assert f"PSNR {rows[0]['psnr_db']:.2f}" in text


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    result = quality_result(tmp_path, photos=1)
    (tmp_path / result["pictures"][2]["mask"]).unlink()
    write_quality(result, tmp_path)
    assert "No such file" in (tmp_path / "quality.html").read_text()
