"""Where libraries keep their caches."""

import os

import pytest

from polysem.workflow import home_cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv(home_cache.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_the_users_own_folder_is_left_alone(home, tmp_path):
    home_cache.provide(tmp_path / "other")
    assert home_cache.VARIABLE not in os.environ


def test_a_home_that_takes_no_cache_is_replaced(home, tmp_path):
    (home / ".cache").write_text("a file")
    home_cache.provide(tmp_path / "other")
    assert os.environ[home_cache.VARIABLE] == str(tmp_path / "other")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_is_read_only_is_replaced(home, tmp_path):
    home.chmod(0o555)
    home_cache.provide(tmp_path / "other")
    home.chmod(0o755)
    assert os.environ[home_cache.VARIABLE] == str(tmp_path / "other")


def test_a_folder_that_the_user_chose_is_asked_first(home, tmp_path, monkeypatch):
    monkeypatch.setenv(home_cache.VARIABLE, str(tmp_path / "chosen"))
    (home / ".cache").write_text("a file")
    home_cache.provide(tmp_path / "other")
    assert os.environ[home_cache.VARIABLE] == str(tmp_path / "chosen")
