import ssl

import pytest
import trustme
from tests.dialogues.host import SERVER_NAME, ServerFiles


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory):
    issued = authority.issue_cert(SERVER_NAME)
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "cert.pem", folder / "key.pem"
    issued.private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return chain, key


@pytest.fixture
def server_files(certificate, tmp_path) -> ServerFiles:
    return ServerFiles(tmp_path, *certificate)


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
