"""Any file from the network: the errors speak of what was wanted, not of weights."""

from __future__ import annotations

import pytest

from graft.download import download
from graft.errors import ResourceError
from graft.network import staying_offline
from tests.http_server import Answer

WORDS = {"what": "The photographs", "otherwise": "ask the museum"}


def test_offline_says_from_where_it_would_come_and_what_else_one_can_do(serve, tmp_path):
    site = serve(b"photographs")
    with staying_offline(), pytest.raises(ResourceError, match="offline") as caught:
        download(f"{site.address}/a.zip", tmp_path, **WORDS)
    assert f"{site.address}/a.zip" in caught.value.problem
    assert caught.value.remedy == "Allow the network once, or ask the museum."
    assert not site.asked


def test_a_failure_names_what_was_wanted(serve, tmp_path):
    url = f"{serve(b'', Answer(status=404)).address}/a.zip"
    with pytest.raises(ResourceError, match="The photographs could not be fetched") as caught:
        download(url, tmp_path, **WORDS)
    assert "ask the museum" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_importing_it_loads_neither_torch_nor_rich():
    import subprocess
    import sys

    code = "import sys, graft.download; assert not {'torch', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
