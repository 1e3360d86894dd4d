"""A file system without `flock`: said before anything runs, and by `polysem doctor`."""

import errno
import fcntl

import pytest

from polysem.io.errors import InputError
from polysem.workflow.commands import doctor
from polysem.workflow.provenance import lock


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def without_locks(request, tmp_path, monkeypatch):
    """No disk of a test machine is without locks, so the call of the system answers as one does."""

    def flock(file, operation):
        raise OSError(request.param, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_stops_with_the_folder_and_what_to_do(without_locks):
    with pytest.raises(InputError, match=rf"{without_locks}/\.snakemake knows no locks \(flock\).*-o flock"):
        lock.hold_workflow_lock(False)


def test_doctor_says_it_before(without_locks):
    check = doctor.check_locks()
    assert check.state == "problem"
    assert f"the file system of {without_locks} knows no locks" in check.found


def test_another_error_of_the_disk_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        lock.require_locks(tmp_path)


def test_a_folder_with_locks_is_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctor.check_locks().state == "ok"
    assert not [*tmp_path.iterdir()]
