"""Programs that use the libraries of the folder they were unpacked into instead of the machine's."""

import asyncio
import os
import shutil
import sysconfig
from pathlib import Path

from twin.servers.errors import ServersError

_ELF_MAGIC = b"\x7fELF"


async def point_into(root: Path, programs: list[Path], final_root: Path) -> None:
    """Make the ELF `programs` load their libraries, and the loader itself, from `final_root` once it is there.

    DT_RPATH rather than DT_RUNPATH: only the former also holds for the libraries' own libraries. Where `root` brings
    no C library, the machine's loader stays in place.
    """
    folders = [final_root / folder.relative_to(root) for folder in library_folders(root)]
    command = [_patchelf(), "--force-rpath", "--set-rpath", ":".join(map(str, folders))]
    if loader := _loader(root):
        command += ["--set-interpreter", str(final_root / loader.relative_to(root))]
    for program in programs:
        await _run(*command, str(program))


def library_folders(root: Path) -> list[Path]:
    """The folders below `root` that hold shared libraries of the machine's architecture."""
    places = [
        folder for lib in ("usr/lib", "lib") for folder in (*sorted((root / lib).glob("*-linux-gnu*")), root / lib)
    ]
    nested = [folder for place in places for folder in sorted(place.glob("*/")) if any(folder.glob("lib*.so*"))]
    return [folder for folder in (*places, *nested) if folder.is_dir()]


def executables(folder: Path) -> list[Path]:
    """The ELF programs directly in `folder`."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and os.access(path, os.X_OK) and _is_elf(path)]


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ELF_MAGIC)) == _ELF_MAGIC


def _loader(root: Path) -> Path | None:
    return next((path for folder in library_folders(root) for path in sorted(folder.glob("ld-linux*.so*"))), None)


def _patchelf() -> str:
    beside = shutil.which("patchelf", path=sysconfig.get_path("scripts"))
    if found := beside or shutil.which("patchelf"):
        return found
    raise ServersError("The program patchelf is missing: install the project's requirements (make setup).")


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, stderr = await process.communicate()
    if process.returncode:
        raise ServersError(f"{command[0]} failed: {stderr.decode(errors='replace').strip()}")
