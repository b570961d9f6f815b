import pytest
from tests.dialogues.host import ServerFiles


@pytest.fixture
def server_files(tls_server_files, tmp_path) -> ServerFiles:
    return ServerFiles(tmp_path, *tls_server_files)
