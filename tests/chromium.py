"""The browser for tests: the machine's Chromium, else Debian's headless one in the cache folder, with a Chinese font.

`python -m tests.chromium` prepares it and says where it is, or why there is none.
"""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from shlex import quote

from rich.console import Console

from twin.servers import ServersError
from twin.servers.elf import library_folders
from twin.servers.homes import cache_folder
from twin.servers.packages import Progress, Recipe, install, quiet
from twin.servers.progress import console_progress

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # small or closed in containers
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_RECIPE = Recipe(
    name="chromium",
    packages=("chromium-headless-shell", "fontconfig-config", "fonts-wqy-microhei"),
    on_machine=True,
)
_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>{root}/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""


async def find_or_fetch(progress: Progress = quiet) -> Path:
    """A Chromium to start with `FLAGS` that can draw Chinese; raises `ServersError` with the reason why not."""
    if _machine_draws_chinese() and (found := _on_machine()):
        return found
    root = await install(_RECIPE, cache_folder(), progress)
    return await asyncio.to_thread(_wrapper, root)


def _on_machine() -> Path | None:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return Path(found) if found else None


def _machine_draws_chinese() -> bool:
    fc_list = shutil.which("fc-list")
    return bool(fc_list and subprocess.check_output([fc_list, ":lang=zh"]))  # noqa: S603


def _wrapper(root: Path) -> Path:
    """A script that starts the private copy with its own fonts."""
    wrapper = root / "chromium"
    if not wrapper.is_file():
        fonts = root / "fonts.conf"
        fonts.write_text(_FONTS.format(root=root), encoding="utf-8")
        program = root / "usr/lib/chromium/chromium-headless-shell"
        libraries = ":".join(map(str, library_folders(root)))
        settings = f"FONTCONFIG_FILE={quote(str(fonts))} LD_LIBRARY_PATH={quote(libraries)}"
        script = f'#!/bin/sh\nexport {settings}\nexec {quote(str(program))} "$@"\n'
        unfinished = root / f"chromium.{os.getpid()}"
        unfinished.write_text(script, encoding="utf-8")
        unfinished.chmod(0o755)
        unfinished.replace(wrapper)
    return wrapper


def main() -> None:
    """Prepare the browser; tests that need it are skipped with the reason where there is none."""
    console = Console()
    try:
        with console_progress(console) as progress:
            found = asyncio.run(find_or_fetch(progress))
    except ServersError as error:
        console.print(f"No Chromium, so the tests in a browser will be skipped: {error}", soft_wrap=True)
    else:
        console.print(f"Chromium: {found}", soft_wrap=True)


if __name__ == "__main__":
    main()
