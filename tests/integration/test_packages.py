"""Debian's packages unpacked for real, with a small one."""

import asyncio
import shutil
from pathlib import Path

import pytest

from twin.servers import ServersError
from twin.servers.packages import Recipe, install

# It needs nothing and has one well-known file.
_RECIPE = Recipe(name="small", packages=("netbase",), on_machine=False)
_FILE = "etc/services"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    if not shutil.which("apt-get"):
        pytest.skip("this machine has no apt")
    return tmp_path / "cache folder"


async def test_two_that_install_at_once_wait_for_each_other_and_share(cache: Path) -> None:
    said: list[list[str]] = [[], []]
    roots = await asyncio.gather(
        *(install(_RECIPE, cache, lambda what, _, who=who: said[who].append(what)) for who in (0, 1))
    )
    assert roots[0] == roots[1]
    assert "ssh" in (roots[0] / _FILE).read_text()
    assert "Reading Debian's package lists" in said[0]
    assert set(said[1]) == {"Waiting for another copy that is installing the same"}
    assert sorted(path.name for path in cache.iterdir()) == sorted([roots[0].name, "small.lock"])


async def test_an_installed_recipe_is_used_without_asking_anybody(cache: Path) -> None:
    _RECIPE.folder(cache).mkdir(parents=True)
    said: list[str] = []
    assert await install(_RECIPE, cache, lambda what, _: said.append(what)) == _RECIPE.folder(cache)
    assert said == []


async def test_an_interrupted_installation_leaves_nothing_half_done_and_goes_on_later(cache: Path) -> None:
    started = asyncio.Event()

    def show(what: str, _done: float | None) -> None:
        if what.startswith("Downloading"):
            started.set()

    first = asyncio.create_task(install(_RECIPE, cache, show))
    await started.wait()
    first.cancel()
    await asyncio.wait([first])
    assert not _RECIPE.folder(cache).exists()
    assert list((cache / "small.apt/lists").iterdir())  # what was fetched is kept
    assert (await install(_RECIPE, cache) / _FILE).is_file()


async def test_what_cannot_be_had_is_said(cache: Path) -> None:
    with pytest.raises(ServersError, match="no-such-package"):
        await install(Recipe(name="none", packages=("no-such-package",)), cache)
