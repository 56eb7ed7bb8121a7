import pytest
from pydantic import ValidationError

from streamproc.errors import UsageError
from streamproc.kafka.registry import connect
from streamproc.settings import RegistrySettings


@pytest.mark.parametrize("url", ["localhost:8081", "user:secret@localhost:8081", ""])
def test_what_is_no_address_is_wrong_use_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match=r"registry\.url is not http") as raised:
        connect(RegistrySettings().model_copy(update={"url": url}))
    with pytest.raises(ValidationError) as refused:
        RegistrySettings(url=url)
    assert "secret" not in f"{raised.value} {refused.value}"
