"""Make `.venv` ready for the project, with nothing but Python's standard library.

    python3 deploy/bootstrap.py [runtime|dev]

Every package is pinned with its hashes in `requirements/`. Where Python comes without pip, as Debian's does, pip's own
wheel is fetched by apt from the machine's Debian archive: no root needed, nothing installed on the machine.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
STAMP = VENV / "ready"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
OLDEST = (3, 11)


def main(level: str) -> None:
    if sys.version_info < OLDEST:
        sys.exit(
            f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Choose one: make PYTHON=python3.13"
        )
    with Path(__file__).open(encoding="utf-8") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        wanted = digest()
        if STAMP.is_file() and STAMP.read_text(encoding="ascii") in (f"{wanted} {level}", f"{wanted} dev"):
            return
        STAMP.unlink(missing_ok=True)
        install(level)
        STAMP.write_text(f"{wanted} {level}", encoding="ascii")


def digest() -> str:
    """What the environment depends on: the pinned packages, the project's own data, and where it lies."""
    files = [*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "pyproject.toml", Path(__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + os.fsencode(ROOT)).hexdigest()


def install(level: str) -> None:
    has_pip = importlib.util.find_spec("ensurepip") is not None
    if not works():
        say(f"Creating .venv with Python {sys.version.split()[0]}")
        venv.create(VENV, clear=True, symlinks=True, with_pip=has_pip)
    if has_module("pip"):
        install_with(dict(os.environ), level)
        return
    with tempfile.TemporaryDirectory() as folder:
        install_with(os.environ | pip_from_debian(Path(folder)), level)


def install_with(environment: dict[str, str], level: str) -> None:
    pip = [str(PYTHON), "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
    for name in ("build", level):
        pinned = ROOT / "requirements" / f"{name}.txt"
        packages = sum("==" in line for line in pinned.read_text(encoding="utf-8").splitlines())
        say(f"Installing {packages} packages of requirements/{name}.txt")
        run([*pip, "--require-hashes", "--no-warn-script-location", "-r", str(pinned)], env=environment)
    say("Installing the project itself")
    run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "--editable", "."], env=environment)


def pip_from_debian(folder: Path) -> dict[str, str]:
    """The environment in which `python -m pip` is Debian's wheel of it."""
    if not shutil.which("apt-get"):
        sys.exit("This Python has no pip, and there is no apt to fetch one with: install Python's venv and pip.")
    say("This Python has no pip: fetching it from Debian's archive")
    for part in ("lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True)
    places = [f"Dir::State::lists={folder}/lists", f"Dir::Cache={folder}", "APT::Sandbox::User="]
    apt = ["apt-get", "--quiet=2", *(word for place in places for word in ("-o", place))]
    subprocess.run([*apt, "update"], cwd=folder, check=False)  # another's broken archive does not matter
    run([*apt, "download", "python3-pip-whl", "ca-certificates"], cwd=folder)
    for package in folder.glob("*.deb"):
        run(["dpkg-deb", "--extract", str(package), str(folder)])
    unzipped = folder / "pip"
    with zipfile.ZipFile(next(folder.glob("usr/share/python-wheels/pip-*.whl"))) as wheel:
        wheel.extractall(unzipped)
    if not CERTIFICATES.is_file():
        trust(folder, unzipped / "pip/_vendor/certifi/core.py")
    return {"PYTHONPATH": str(unzipped)}


def trust(folder: Path, certifi: Path) -> None:
    """Debian's pip looks for the machine's certificates, which this machine lacks: show it those of the package."""
    trusted = folder / "trusted.crt"
    trusted.write_bytes(b"".join(file.read_bytes() for file in folder.glob("usr/share/ca-certificates/*/*.crt")))
    certifi.write_text(certifi.read_text(encoding="utf-8").replace(str(CERTIFICATES), str(trusted)), encoding="utf-8")


def works() -> bool:
    """Whether `.venv` was made in this very place, and its Python still runs."""
    config = VENV / "pyvenv.cfg"
    return config.is_file() and str(VENV) in config.read_text(encoding="utf-8") and has_module("sys")


def has_module(name: str) -> bool:
    return (
        PYTHON.exists()
        and not subprocess.run([PYTHON, "-c", f"import {name}"], check=False, capture_output=True).returncode
    )


def run(command: list[str], env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    if subprocess.run(command, env=env, cwd=cwd, check=False).returncode:
        sys.exit(f"Failed: {' '.join(command)}")


def say(what: str) -> None:
    print(f"setup: {what}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "runtime")
