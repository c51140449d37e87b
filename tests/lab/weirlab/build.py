"""Where the programs under test are."""
import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]


def build_folder() -> Path:
    return Path(os.environ.get("WEIR_BUILD") or SOURCE / "build" / "release").resolve()


def program(name: str) -> str:
    path = build_folder() / "bin" / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not built: ./dev build")
    return str(path)


def library(name: str) -> str:
    return str(build_folder() / "lib" / name)
