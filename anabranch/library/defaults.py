"""Settings of the library's functions, from the environment."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

READ_ARGUMENTS = {  # of iterabledata's readers, and what they are here
    "delimiter": "delimiter",
    "quotechar": "quote",
    "encoding": "encoding",
    "format": "format",
}


class Defaults(BaseSettings):
    """What the library's functions do where an argument is not given; each from a variable ANABRANCH_NAME."""

    model_config = SettingsConfigDict(env_prefix="ANABRANCH_")

    parallel: bool = False
    workers: Annotated[int | None, Field(ge=1)] = None  # parts at the same time; one per core
    parallel_mode: Literal["auto", "thread", "process", "inline"] = "auto"
    chunk_size: Annotated[int, Field(ge=1)] = 1000  # records
