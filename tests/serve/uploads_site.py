"""An application that receives uploads, with its receiver and its folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reconciler.serve import Application, Catalogue, Uploads
from tests.support.asgi import AsgiResponse, Client
from tests.support.published import Published
from tests.support.uploading import (
    ADA,
    FORM,
    FakeReceiver,
)

WHEEL = bytes(range(256)) * 3000
PLACE = "/team/upload/"


class UploadSite:
    """An application that takes files, its receiver, and the folder in which they come in."""

    def __init__(self, tmp_path: Path, **limits: Any) -> None:
        self.published = Published()
        self.published.page(self.published.mount("team"), "simple/", b"projects")
        self.receiver = FakeReceiver(self.published)
        self.folder = tmp_path / "work" / "incoming"
        uploads = Uploads(self.receiver, self.folder, **limits)
        self.application = Application(
            Catalogue(self.published, self.published, check_every=1000), uploads=uploads
        )
        self.client = Client(self.application)

    def post(
        self,
        *pieces: bytes | BaseException,
        path: str = PLACE,
        headers: Sequence[tuple[str, str]] = (ADA, FORM),
    ) -> AsgiResponse:
        return asyncio.run(self.client.post(path, pieces, headers=headers))

    def left(self) -> list[str]:
        return os.listdir(self.folder) if self.folder.exists() else []
