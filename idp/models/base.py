"""What all tables share."""

from typing import Annotated, Any, ClassVar

from sqlalchemy import JSON, BigInteger, Boolean, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, mapped_column

Id = Annotated[str, mapped_column(String(32), primary_key=True)]
Digest = Annotated[str, mapped_column(String(64))]
Seconds = Annotated[int, mapped_column(BigInteger)]
Strings = Annotated[list[str], mapped_column(JSON)]
LongText = Annotated[str, mapped_column(Text)]
Flag = Annotated[bool, mapped_column(Boolean)]


class Base(DeclarativeBase):
    """Constraints are named by rule, so that a migration can name them on every engine."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {dict[str, Any]: JSON}
