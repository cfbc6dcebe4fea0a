"""Every error a user can meet, each owning its exit code and saying how to mend what is wrong.

LgnetError            1  unexpected (a bug: please report it)
|- UsageError         2  the command line asks for something that cannot be
|- FileError          3  one image or mask cannot be read, matched or written; the batch goes on
|  |- MaskError       3  the mask does not fit its image, or its holes cannot be told from its known pixels
|  |- EngineError     3  the engine failed on this image (out of memory, say)
|- NothingToDo        4  no image found, or none that has a mask
|- Interrupted      130  Ctrl-C or SIGTERM; what was being written is whole, the rest is for the next run
|- ModelError         5  weights or an engine file are missing, broken or of another kind
|  |- MissingBackend  5  a named back end is not installed here
|  |- DeviceLost      5  a GPU failed and gives no more results; the batch ends
|  |- MissingWeights  5  a file that another project publishes is not here
|- TrainingStopped    6  training cannot go on: a loss is not finite, or another process is gone
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What `lgnet` returns to the shell."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    SOME_FAILED = 3
    NOTHING_TO_DO = 4
    MODEL_UNUSABLE = 5
    TRAINING_STOPPED = 6
    INTERRUPTED = 130


class LgnetError(Exception):
    """What is wrong and in which file; `mend` is the command or step that puts it right."""

    exit_code = ExitCode.UNEXPECTED

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(what)
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.args[0]}\n  {self.mend}" if self.mend else str(self.args[0])


class UsageError(LgnetError):
    exit_code = ExitCode.USAGE


class FileError(LgnetError):
    exit_code = ExitCode.SOME_FAILED


class MaskError(FileError):
    pass


class EngineError(FileError):
    pass


class NothingToDo(LgnetError):
    exit_code = ExitCode.NOTHING_TO_DO


class Interrupted(LgnetError):
    exit_code = ExitCode.INTERRUPTED


class ModelError(LgnetError):
    exit_code = ExitCode.MODEL_UNUSABLE


class DeviceLost(ModelError):
    pass


class MissingBackend(ModelError):
    pass


class MissingWeights(ModelError):
    pass


class TrainingStopped(LgnetError):
    exit_code = ExitCode.TRAINING_STOPPED
