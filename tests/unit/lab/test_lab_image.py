import os
from dataclasses import replace
from pathlib import Path

import pytest

from understudy.findings import FindingsError
from understudy.lab import image
from understudy.lab.image import BuildProgress, Recipe, ensure_image, hold, recipe_for


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setattr(image, "IMAGES", tmp_path / "images")
    monkeypatch.delenv(image.OVERRIDE, raising=False)
    return recipe_for("debian", "zed")


def codes(error: pytest.ExceptionInfo[FindingsError]) -> list[str]:
    return [finding.code for finding in error.value.findings]


def fake_mmdebstrap(monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> list[Path]:
    built: list[Path] = []

    def build(_recipe: Recipe, work: Path, _progress: image.Progress) -> None:
        built.append(work)
        for name in ("etc/ssh/ssh_host_rsa_key", "etc/machine-id"):
            (work / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (work / "root" / name).touch()
        if fails:
            raise FindingsError([], exit_status=1)

    monkeypatch.setattr(image, "_run_mmdebstrap", build)
    monkeypatch.setattr(
        image, "_host_sources", lambda: {"sources.list": "deb http://d.example.org bookworm main"}
    )
    return built


def test_a_release_that_the_image_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(FindingsError) as error:
        recipe_for("debian", "caracal")
    assert codes(error) == ["lab-release-not-carried"]
    assert error.value.findings[0].values["carried"] == "zed"
    assert error.value.exit_status == 2


def test_a_distribution_without_an_image_is_refused_with_what_there_is() -> None:
    with pytest.raises(FindingsError) as error:
        recipe_for("centos", "zed")
    assert codes(error) == ["lab-distribution-unknown"]
    assert "debian" in str(error.value.findings[0].values["known"])


def test_another_recipe_has_another_name(recipe: Recipe) -> None:
    others = [
        replace(recipe, packages=recipe.packages[1:]),
        replace(recipe, generation=recipe.generation + 1),
        replace(recipe, suite="trixie"),
    ]
    assert len({each.name for each in (recipe, *others)}) == 4
    assert replace(recipe, packages=recipe.packages[::-1]).name == recipe.name


def test_a_built_image_has_no_identity(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mmdebstrap(monkeypatch)
    root = ensure_image(recipe)
    assert not list((root / "etc/ssh").iterdir())
    assert not (root / "etc/machine-id").read_text(encoding="ascii")


def test_an_image_is_built_once(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    built = fake_mmdebstrap(monkeypatch)
    assert ensure_image(recipe) == ensure_image(recipe)
    assert len(built) == 1
    assert [path.name for path in image.IMAGES.iterdir()] == [recipe.name]


def test_a_failed_build_leaves_nothing(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mmdebstrap(monkeypatch, fails=True)
    with pytest.raises(FindingsError):
        ensure_image(recipe)
    assert not list(image.IMAGES.iterdir())


def test_what_an_interrupted_build_left_is_removed_and_not_believed(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    remains = image.IMAGES / f".unfinished-{recipe.name}" / "root" / "etc"
    remains.mkdir(parents=True)
    built = fake_mmdebstrap(monkeypatch)
    ensure_image(recipe)
    assert len(built) == 1
    assert [path.name for path in image.IMAGES.iterdir()] == [recipe.name]


def test_images_of_earlier_recipes_go_unless_a_lab_runs_on_them(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("debian-bookworm-idle", "debian-bookworm-used", "debian-trixie-other")
    for name in names:
        (image.IMAGES / name).mkdir(parents=True)
    fake_mmdebstrap(monkeypatch)
    lab = hold(image.IMAGES / "debian-bookworm-used")
    ensure_image(recipe)
    os.close(lab)
    assert {path.name for path in image.IMAGES.iterdir()} == {recipe.name, *names[1:]}


def test_too_little_room_is_said_before_anything_is_built(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = fake_mmdebstrap(monkeypatch)
    with pytest.raises(FindingsError) as error:
        ensure_image(replace(recipe, size=1 << 60))
    assert codes(error) == ["lab-no-space"]
    assert error.value.exit_status == 1
    assert not built


def test_a_host_without_a_source_of_the_suite_is_told(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_mmdebstrap(monkeypatch)
    monkeypatch.setattr(image, "_host_sources", dict)
    with pytest.raises(FindingsError) as error:
        ensure_image(recipe)
    assert codes(error) == ["lab-no-apt-source"]


def test_a_named_root_file_system_is_used_as_it_is(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = fake_mmdebstrap(monkeypatch)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3").touch()
    monkeypatch.setenv(image.OVERRIDE, str(tmp_path))
    assert ensure_image(recipe) == tmp_path
    assert not built


def test_a_named_folder_that_is_no_root_file_system_is_refused(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(image.OVERRIDE, str(tmp_path))
    with pytest.raises(FindingsError) as error:
        ensure_image(recipe)
    assert codes(error) == ["lab-image-unusable"]


def test_progress_grows_to_the_end_whatever_the_estimate_was() -> None:
    seen: list[tuple[str, float]] = []
    tracker = BuildProgress(2, lambda phase, share: seen.append((phase, share)))
    lines = ["0 upgraded, 3 newly installed, 0 to remove"]
    lines += [f"{start} x" for start in ("Get:1", "Unpacking", "Setting up") for _ in range(3)]
    for line in lines:
        tracker.take(line)
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [phase for phase, _ in seen[::3]] == ["downloading", "unpacking", "configuring"]
