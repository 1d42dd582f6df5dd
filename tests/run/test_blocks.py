"""A secret is read from a block of the Prefect server by its name."""

import pytest

from anabranch.core.errors import SetupError

pytestmark = pytest.mark.server


def test_a_secret_is_read_from_its_block(prefect_server):
    from prefect.blocks.system import Secret

    from anabranch.run.blocks import secret

    Secret(value="postgresql://me:hunter-2@host/base").save("shop-db", overwrite=True)

    assert secret("shop-db") == "postgresql://me:hunter-2@host/base"
    with pytest.raises(SetupError, match="no Secret block named nowhere"):
        secret("nowhere")
