"""What every section is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error, not a silent default.

    Errors do not repeat values: an address may have a password in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
