"""What a run leaves to look at: metrics.jsonl, TensorBoard's curves, and pictures."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lgnet_cli.atomic import write_bytes
from lgnet_cli.errors import MissingBackend

NAME = "metrics.jsonl"


class Records:
    """Writes a run's numbers. Lines of steps after `step` are dropped: they will be computed again."""

    def __init__(self, run: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingBackend(
                "training needs tensorboard", mend="install it with: pip install 'lgnet[train]'"
            ) from error
        self.path = run / NAME
        self.pictures = run / "pictures"
        self.pictures.mkdir(exist_ok=True)
        kept = [line for line in _lines(self.path) if json.loads(line)["step"] <= step]
        write_bytes(self.path, "".join(f"{line}\n" for line in kept).encode())
        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, **numbers: Any) -> None:
        """One line of `numbers`, floats or {name: float}, at `step`."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step} | numbers) + "\n")
        for name, value in numbers.items():
            if isinstance(value, dict):
                for part, number in value.items():
                    self.board.add_scalar(f"{name}/{part}", number, step)
            elif isinstance(value, float):
                self.board.add_scalar(name, value, step)

    def show(self, step: int, grid: np.ndarray) -> None:
        """Write (H, W, 3) uint8 RGB as pictures/<step>.png."""
        png = cv2.imencode(".png", cv2.cvtColor(grid, cv2.COLOR_RGB2BGR))[1]
        write_bytes(self.pictures / f"{step:07}.png", png.tobytes())
        self.board.add_image("validation", grid, step, dataformats="HWC")

    def close(self) -> None:
        self.board.close()


def _lines(path: Path) -> list[str]:
    """The whole lines of a file that a process may have been killed while writing."""
    if not path.is_file():
        return []
    return [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if _is_record(line)]


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict) and "step" in json.loads(line)
    except ValueError:
        return False
